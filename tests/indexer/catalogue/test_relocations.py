"""Where a file lies when its disk has another mount point, drive letter or system."""

import pytest

from indexer.catalogue.relocations import moved


@pytest.mark.parametrize(
    ("place", "old", "new", "now"),
    [
        ("/mnt/a/x/1.jpg", "/mnt/a", "/media/b", "/media/b/x/1.jpg"),
        ("/mnt/a", "/mnt/a", "/media/b.E01", "/media/b.E01"),
        ("/mnt/ab/1.jpg", "/mnt/a", "/media/b", None),
        ("/mnt/a/1.jpg", "/", "/media/b", "/media/b/mnt/a/1.jpg"),
        ("/mnt/a/1.jpg", "/mnt/a", "/", "/1.jpg"),
        ("/mnt/a/x\\y.jpg", "/mnt/a", "/b", "/b/x\\y.jpg"),
        ("E:\\x\\1.jpg", "E:\\", "F:\\", "F:\\x\\1.jpg"),
        ("E:\\x\\1.jpg", "E:", "/mnt/e", "/mnt/e/x/1.jpg"),
        ("E:\\xy\\1.jpg", "E:\\x", "/mnt/e", None),
        ("\\\\server\\share\\1.jpg", "\\\\server\\share", "/mnt/e", "/mnt/e/1.jpg"),
        ("/mnt/e/x/1.jpg", "/mnt/e", "G:\\", "G:\\x\\1.jpg"),
    ],
)
def test_a_place_moves_with_its_folder_and_gets_the_separators_of_its_system(place, old, new, now):
    assert moved(place, old, new) == now
