/* Out of memory while each algorithm trains, ratings change, and options are tried. See memory_fault.h. */
#include "memory_fault.h"

/* Clusters, and what asks for them. */
static void sweep_clusters(const Image *trained) {
  static const char *const asking[] = {
      "SELECT * FROM recommend_clusters('groups')",
      "SELECT * FROM recommend(3, 4, 'groups')",
      "INSERT INTO groups(groups) VALUES('integrity-check')",
  };
  sqlite3 *db = open_image(trained);
  must(db, "SELECT kmeans_train('ratings', 3, '{\"threads\":1,\"model\":\"groups\"}')");
  Image image = take_image(db);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  for (size_t i = 0; i < sizeof asking / sizeof *asking; i++) sweep(&image, (Step){asking[i], 0}, 40);
  free(image.bytes);
}

int main(void) {
  install();
  load_everywhere();
  Image image = make_image(1);
  for (int i = 0; i < ALGORITHM_TRAINING; i++) sweep(&image, algorithm_training[i], 40);
  for (int i = 0; i < CHANGES; i++) sweep(&image, rating_changes[i], 40);
  for (int i = 0; i < TRIALS; i++) sweep(&image, trials[i], 40);
  sweep_clusters(&image);
  free(image.bytes);
  CHECK(injected > 1000);
  return memory_report();
}
