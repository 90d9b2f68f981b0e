/* Out of memory over the life of models of neighbours and of item weights, and while their ratings change. See
 * memory_fault.h. */
#include "memory_fault.h"

static const Life life = {&links, link_serving, LINK_SERVING, link_training, LINK_TRAINING, 40};

static void changing(void) {
  for (int i = 0; i < LINK_CHANGES; i++) sweep(&links, link_changes[i], 40);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST_OF(sweep_serving, life), TEST_OF(sweep_training, life), TEST_OF(sweep_life, life), TEST(changing),
      TEST(often_enough),           TEST(nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, install_and_make_images, free_images);
}
