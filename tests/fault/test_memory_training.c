/* Out of memory while each algorithm trains, ratings change, and options are tried. See memory_fault.h. */
#include "memory_fault.h"
#include "trainers.h"

/* Clusters, and what asks for them. */
static void clusters(void) {
  static const char *const asking[] = {
      "SELECT * FROM recommend_clusters('groups')",
      "SELECT * FROM recommend(3, 4, 'groups')",
      "INSERT INTO groups(groups) VALUES('integrity-check')",
  };
  sqlite3 *db = open_image(&ratings);
  must(db, "SELECT kmeans_train('ratings', 3, '{\"threads\":1,\"model\":\"groups\"}')");
  Image image = take_image(db);
  must_close(db);
  for (size_t i = 0; i < sizeof asking / sizeof *asking; i++) sweep(&image, (Step){asking[i], 0}, 40);
  free(image.bytes);
}

static void algorithms(void) {
  for (int i = 0; i < ALGORITHM_TRAINING; i++) sweep(&ratings, algorithm_training[i], 40);
}

static void every_trainer(void) {
  Trainings trainings = all_trainings();
  for (int i = 0; i < trainings.count; i++) sweep(&ratings, (Step){trainings.sql[i], 0}, 40);
  trainings_free(&trainings);
}

static void changing(void) {
  for (int i = 0; i < CHANGES; i++) sweep(&ratings, rating_changes[i], 40);
}

static void every_trial(void) {
  for (int i = 0; i < TRIALS; i++) sweep(&ratings, trials[i], 40);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(algorithms), TEST(every_trainer), TEST(changing),        TEST(every_trial),
      TEST(clusters),   TEST(often_enough),  TEST(nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, install_and_make_images, free_images);
}
