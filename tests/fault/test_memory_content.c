/* Out of memory over the life of models of content. See memory_fault.h. */
#include "memory_fault.h"

static const Life life = {&content, content_serving, CONTENT_SERVING, content_training, CONTENT_TRAINING, 40};

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST_OF(sweep_serving, life), TEST_OF(sweep_training, life), TEST_OF(sweep_life, life),
      TEST(often_enough),           TEST(nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, install_and_make_images, free_images);
}
