"""The order of rooms under ext/, as ext/README.md draws it: which file may include which, and how files are named."""
import os
import re
import unittest

from support import ROOT

EXT = os.path.join(ROOT, "ext")
ROOMS = ["base", "score", "data", "learn", "model", "answer", "train", "api"]  # each may include those before it


def sources():
    for folder, _, names in os.walk(EXT):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                yield os.path.join(folder, name)


def room(path):
    return os.path.relpath(path, EXT).split(os.sep)[0]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def includes(path):
    for name in re.findall(r'#include "([^"]+)"', read(path)):
        yield os.path.normpath(os.path.join(os.path.dirname(path), name))


def all_includes(path, seen=None):
    """The files of ours that `path` sees, itself among them."""
    seen = set() if seen is None else seen
    if path not in seen:
        seen.add(path)
        for included in includes(path):
            all_includes(included, seen)
    return seen


class House(unittest.TestCase):
    def test_every_folder_is_a_room(self):
        folders = [name for name in os.listdir(EXT) if os.path.isdir(os.path.join(EXT, name))]
        self.assertEqual(sorted(folders), sorted(ROOMS))

    def test_a_room_includes_only_those_below_it(self):
        wrong = []
        for path in sources():
            for included in includes(path):
                above = room(path) in ROOMS and ROOMS.index(room(included)) > ROOMS.index(room(path))
                if above:
                    wrong.append((os.path.relpath(path, EXT), os.path.relpath(included, EXT)))
        self.assertEqual(wrong, [])

    def test_scores_and_algorithms_see_no_sqlite(self):
        wrong = []
        for path in sources():
            if room(path) not in ("score", "learn"):
                continue
            for seen in all_includes(path):
                if re.search(r"#include <sqlite3", read(seen)):
                    wrong.append((os.path.relpath(path, EXT), os.path.relpath(seen, EXT)))
        self.assertEqual(wrong, [])

    def test_no_two_files_have_one_name(self):
        names = {}
        for path in sources():
            names.setdefault(os.path.basename(path), []).append(os.path.relpath(path, EXT))
        self.assertEqual([paths for paths in names.values() if len(paths) > 1], [])

    def test_names_of_functions_tell_in_a_backtrace(self):
        """Two files may have a static function of one name; three or more have taken a word that says too little."""
        names = {}
        for path in sources():
            for name in re.findall(r"^static (?:inline )?(?:const )?[\w ]+?[ *]+(\w+)\(", read(path), re.MULTILINE):
                names.setdefault(name, set()).add(os.path.relpath(path, EXT))
        self.assertEqual({name: sorted(paths) for name, paths in names.items() if len(paths) > 2}, {})

    def test_headers_are_guarded_by_their_place(self):
        wrong = []
        for path in sources():
            guard = "RECOMMEND_" + re.sub(r"[/.]", "_", os.path.relpath(path, EXT)).upper()
            if path.endswith(".h") and room(path) in ROOMS and f"#ifndef {guard}\n#define {guard}\n" not in read(path):
                wrong.append(os.path.relpath(path, EXT))
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
