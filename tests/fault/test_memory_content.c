/* Out of memory over the life of models of content. See memory_fault.h. */
#include "memory_fault.h"

int main(void) {
  install();
  load_everywhere();
  Image content = make_content_image(1);
  sweep_life(&(Life){&content, content_serving, CONTENT_SERVING, content_training, CONTENT_TRAINING, 40});
  free(content.bytes);
  CHECK(injected > 1000);
  return memory_report();
}
