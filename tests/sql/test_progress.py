"""The line that says in the sqlite3 shell how far work is: on a terminal there, and nowhere else. Rows as they come."""
import os
import pty
import re
import select
import signal
import sqlite3
import sys
import unittest

from support import EXTENSION, SHELL, TestCase, connect, made_up_ratings, rated

LONG = "SELECT mf_train('ratings', 8, '{\"epochs\": 100000, \"threads\": 1}');"
MAKE = ("CREATE TABLE ratings(user, item, rating); WITH n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 3000) "
        "INSERT INTO ratings SELECT n % 100, n * 7 % 61, n % 5 FROM n;")
LINE = re.compile(rb"\r(mf_train[ -~]*?, \d+ s) *")


class Terminal:
    """A program whose stdin, stdout and stderr are a terminal."""

    def __init__(self, arguments, **environment):
        self.output = b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm", **environment})
            if "RECOMMEND_PROGRESS" not in environment:
                os.environ.pop("RECOMMEND_PROGRESS", None)
            os.execvp(arguments[0], arguments)

    def read_until(self, pattern):
        """Up to where the pattern is found, or to the end of the program, or 60 s."""
        while not re.search(pattern, self.output):
            if not select.select([self.terminal], [], [], 60)[0]:
                break
            try:
                more = os.read(self.terminal, 65536)
            except OSError:  # what Linux says when the program is gone
                more = b""
            if not more:
                break
            self.output += more
        return self.output

    def end(self):
        self.read_until(rb"(?!)")
        os.close(self.terminal)
        return os.waitpid(self.pid, 0)[1]

    def interrupt(self):
        os.kill(self.pid, signal.SIGINT)


@unittest.skipUnless(os.path.basename(SHELL) == "sqlite3", "the shell has another name")
class Line(TestCase):
    def start(self, sql, **environment):
        return Terminal([SHELL, ":memory:", "-cmd", ".load " + EXTENSION, MAKE + sql], **environment)

    def test_is_there_and_goes(self):
        shell = self.start(LONG)
        self.assertRegex(shell.read_until(LINE), rb"mf_train: rating head, epoch \d+, 1 s")
        shell.interrupt()
        self.assertNotEqual(shell.end(), 0)
        shown = LINE.findall(shell.output)
        self.assertGreaterEqual(len(shown), 1)
        # The last line is covered by blanks, and the message comes where it stood.
        blank = re.search(rb"\r( +)\r(?=[^\r]*[Ii]nterrupt)", shell.output)
        self.assertIsNotNone(blank, shell.output)
        self.assertEqual(len(blank.group(1)), len(shown[-1]))

    def test_says_what_it_is_a_part_of(self):
        shell = self.start("SELECT fold FROM recommend_cross_validate('mf', 'ratings', 3, '{\"rank\": 8, \"epochs\": 100000}');")
        self.assertRegex(shell.read_until(rb"head, epoch \d+, \d+ s"), rb"\rrecommend_cross_validate: 1 of 3, mf_train: rating head, epoch \d+, \d+ s")
        shell.interrupt()
        shell.end()

    def quiet(self, terminal):
        terminal.end()
        self.assertNotRegex(terminal.output, rb"\r[^\n]")

    def test_is_not_there(self):
        """Where it is not wanted, where stderr is no terminal, and in any other program: each is stopped after the first second."""
        script = ("import sqlite3, time\n"
                  f"db = sqlite3.connect(':memory:'); db.enable_load_extension(True); db.load_extension({EXTENSION!r}); db.executescript({MAKE!r})\n"
                  "began = time.monotonic(); db.set_progress_handler(lambda: time.monotonic() - began > 1.6, 1)\n"
                  "try:\n"
                  f"    db.execute({LONG!r})\n"
                  "except sqlite3.OperationalError as error:\n"
                  "    print(error)\n")
        other = Terminal([sys.executable, "-c", script])
        self.quiet(other)
        self.assertIn(b"interrupted", other.output)
        for command in (f"RECOMMEND_PROGRESS=0 timeout -s INT 1.6 {SHELL} :memory:", f"timeout -s INT 1.6 {SHELL} :memory: 2>/dev/null", f"TERM=dumb timeout -s INT 1.6 {SHELL} :memory:"):
            self.quiet(Terminal(["/bin/sh", "-c", f"{command} -cmd '.load {EXTENSION}' \"$0\"", MAKE + LONG]))


class Rows(TestCase):
    """A row as soon as it is known: what is fetched first needs nothing of what comes last."""

    def test_each_trainer_as_it_is_done(self):
        """The last of three fails. (Python's sqlite3 has always taken a step more than it has returned rows.)"""
        db = rated(made_up_ratings())
        for call in ("recommend_grid_search(t.trainer, 'ratings', t.grid)", "recommend_grid_search(t.trainer, 'ratings', t.grid, '{\"folds\": 2}')",
                     "recommend_cross_validate(t.trainer, 'ratings', 2, t.grid)"):
            cursor = db.execute("SELECT t.trainer, c.ndcg FROM (SELECT 'baseline_train' AS trainer, '{}' AS grid UNION ALL SELECT 'ease_train', '{\"lambda\": 5}' "
                                f"UNION ALL SELECT 'no_such_train', '{{}}') t CROSS JOIN {call} c")
            trainer, ndcg = cursor.fetchone()
            self.assertEqual(trainer, "baseline_train")
            self.assertGreater(ndcg, 0)
            with self.assertRaisesRegex(sqlite3.Error, "no_such_train"):
                cursor.fetchall()

    def test_each_fold_as_it_is_done(self):
        """The third leaves one user, of whom there are no two clusters."""
        db = connect()
        db.execute("CREATE TABLE folded(user, item, rating, fold)")
        db.executemany("INSERT INTO folded VALUES(?, ?, 3, ?)", [(1, 1, 1), (1, 2, 2), (1, 3, None), (2, 1, 3), (2, 2, 3), (3, 1, 3)])
        cursor = db.execute("SELECT fold FROM recommend_cross_validate('kmeans', 'folded', 'fold', '{\"size\": 2}')")
        self.assertEqual(cursor.fetchone(), (1,))
        with self.assertRaisesRegex(sqlite3.Error, "2 clusters of 1"):
            cursor.fetchall()


if __name__ == "__main__":
    unittest.main()
