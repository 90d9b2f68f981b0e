/* Out of memory over the life of models of links, and while their ratings change. See memory_fault.h. */
#include "memory_fault.h"

int main(void) {
  install();
  load_everywhere();
  Image links = make_link_image();
  sweep_life(&(Life){&links, link_serving, LINK_SERVING, link_training, LINK_TRAINING, 40});
  for (int i = 0; i < LINK_CHANGES; i++) sweep(&links, link_changes[i], 40);
  free(links.bytes);
  CHECK(injected > 1000);
  return memory_report();
}
