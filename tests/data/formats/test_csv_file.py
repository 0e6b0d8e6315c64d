"""CSV files: encodings, delimiters, label sets, groups, splits, and every fault with its line."""

import pytest

from sightline.config.data import Data
from sightline.data.formats.csv_file import read_folder
from sightline.errors import DataError
from tests.data.formats.generated import labels, objects, places, write_image

FACES = {"mask": ["with", "without"], "age": ["young", "old"]}


def faces(**fields):
    return Data(**{"repository": "-", "label_sets": FACES, "jobs": 1, **fields})


def write(root, *lines, name="labels.csv", images="abc", encoding="utf-8"):
    root.mkdir(parents=True, exist_ok=True)
    for seed, image in enumerate(images):
        write_image(root / f"images/{image}.jpg", seed)
    (root / name).write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))


ROWS = ("path,mask,age,person", "images/a.jpg,with,young,p1", "images/b.jpg,without,old,p1", "images/c.jpg,with,old,p2")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiters_and_a_byte_order_mark(delimiter, encoding, tmp_path):
    write(tmp_path, *(row.replace(",", delimiter) for row in ROWS), encoding=encoding)
    annotations = read_folder(tmp_path, faces(columns={"group": "person"}))
    assert annotations.faults == []
    assert [(image.image, image.labels, image.group, image.file) for image in annotations.images] == [
        ("images/a.jpg", ("mask/with", "age/young"), "p1", "labels.csv"),
        ("images/b.jpg", ("mask/without", "age/old"), "p1", "labels.csv"),
        ("images/c.jpg", ("mask/with", "age/old"), "p2", "labels.csv"),
    ]
    assert annotations.label_sets == {"mask": {"with": 2, "without": 1}, "age": {"old": 2, "young": 1}}


def test_windows_line_ends_quotes_blank_lines_and_other_names_of_columns(tmp_path):
    write(tmp_path, 'Filename,Label\r\n"images\\a.jpg", good \r\n\r\nb.jpg,crack\r')
    annotations = read_folder(tmp_path, labels())
    assert annotations.faults == []
    assert [(image.image, image.labels) for image in annotations.images] == [
        ("images/a.jpg", ("good",)), ("images/b.jpg", ("crack",)),
    ]  # fmt: skip
    assert annotations.unlabelled_images == 1


def test_columns_with_other_names_and_several_classes_in_a_cell(tmp_path):
    write(tmp_path, "bild,schaden,teil", 'images/a.jpg,"crack|cut",7', "images/b.jpg,,7", "images/c.jpg,bulge,7")
    sets = {"damage": {"classes": ["cut", "crack", "bulge"], "multiple": True, "column": "schaden"}}
    annotations = read_folder(tmp_path, Data(repository="-", label_sets=sets, columns={"path": "bild"}, jobs=1))
    assert annotations.faults == []
    assert [image.labels for image in annotations.images] == [("cut", "crack"), (), ("bulge",)]


def test_splits_come_from_a_column_or_the_name_of_the_file(tmp_path):
    write(tmp_path, "path,class,part", "images/a.jpg,good,Training", "images/b.jpg,crack,valid", "images/c.jpg,good,")
    images = read_folder(tmp_path, labels(columns={"split": "part"})).images
    assert [image.split for image in images] == ["train", "val", None]
    several = tmp_path / "several"
    write(several, "path,class", "images/a.jpg,good", name="train.csv")
    write(several, "path,class", "images/b.jpg,crack", name="test_labels.csv")
    write(several, "old,new", "x,y", name="renamed.csv")  # no list of images
    annotations = read_folder(several, labels())
    assert [(image.image, image.split) for image in annotations.images] == [
        ("images/a.jpg", "train"), ("images/b.jpg", "test"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("images/b.jpg,with,", "missing_label"),
        ("images/b.jpg,withuot,old", "unknown_label"),
        ("images/gone.jpg,with,old", "missing_image"),
        ("../../b.jpg,with,old", "unsafe_path"),
        ("/b.jpg,with,old", "unsafe_path"),
        (",with,old", "broken_row"),
        ("images/b.jpg,with", "broken_row"),
        ("images/b.jpg,with,old,more", "broken_row"),
        ('images/b.jpg,"with,old', "broken_row"),  # a quotation mark that does not end
        ("images/broken.jpg,with,old", "broken_image"),
    ],
)
def test_each_fault_names_file_and_line(row, kind, tmp_path):
    write(tmp_path, "path,mask,age", "images/a.jpg,without,young", "images/c.jpg,with,old", row)
    (tmp_path / "images/broken.jpg").write_bytes(b"no image")
    annotations = read_folder(tmp_path, faces())
    assert places(annotations) == [(kind, "labels.csv", "line 4")]
    assert len(annotations.images) == 2
    if kind == "unknown_label":
        assert "did you mean 'without'" in annotations.faults[0].reason or "'with'" in annotations.faults[0].reason


def test_a_row_twice_names_both_lines(tmp_path):
    write(tmp_path, *ROWS, ROWS[1])
    annotations = read_folder(tmp_path, faces())
    twice = [("duplicate_image", "labels.csv", "line 2"), ("duplicate_image", "labels.csv", "line 5")]
    assert places(annotations) == twice
    assert "line 5" in annotations.faults[0].reason
    assert [image.image for image in annotations.images] == ["images/b.jpg", "images/c.jpg"]


def test_all_missing_columns_are_reported_at_once_and_nothing_is_read(tmp_path):
    write(tmp_path, "file_nmae,maks", "images/a.jpg,with")
    annotations = read_folder(tmp_path, faces(columns={"path": "file_name", "group": "person"}))
    assert places(annotations) == [("broken_row", "labels.csv", "line 1")] * 4
    assert "did you mean 'file_nmae'" in annotations.faults[0].reason
    assert "did you mean 'maks'" in annotations.faults[2].reason
    assert annotations.images == []


@pytest.mark.parametrize(
    ("content", "entry"),
    [
        (b"", ""),
        (b"path,class,class\nimages/a.jpg,good,good\n", "line 1"),
        (b"path,,class\nimages/a.jpg,x,good\n", "line 1"),
        ("path,class\nimages/a.jpg,gut\u00e9\n".encode("latin-1"), ""),
        ("path,class\n".encode("utf-16"), ""),
    ],
)
def test_files_that_are_no_table(content, entry, tmp_path):
    write(tmp_path)
    (tmp_path / "labels.csv").write_bytes(content)
    assert places(read_folder(tmp_path, labels())) == [("broken_row", "labels.csv", entry)]


def test_a_split_that_is_none_and_one_class_only(tmp_path):
    write(tmp_path, "path,class,split", "images/a.jpg,good,trian", "images/b.jpg,good,val")
    assert places(read_folder(tmp_path, labels(columns={"split": "split"}))) == [
        ("broken_row", "labels.csv", "line 2"), ("missing_label", "labels.csv", "label set class"),
    ]  # fmt: skip


def test_without_known_classes_columns_with_few_values_are_label_sets(tmp_path):
    write(tmp_path, *(f"{row}{',n' + str(i) if i else ',note'}" for i, row in enumerate(ROWS)))
    found = read_folder(tmp_path, objects(), classes_known=False)
    assert found.label_sets == {"mask": {"with": 2, "without": 1}, "age": {"old": 2, "young": 1}}
    assert found.unused_columns == {"person": 2, "note": 3}
    assert found.labels == {"age/old": 2, "age/young": 1, "mask/with": 2, "mask/without": 1}
    write(tmp_path / "b", *ROWS[:2], "images/b.jpg,,old,p1", *ROWS[3:])
    faults = places(read_folder(tmp_path / "b", objects(), classes_known=False))
    assert faults[-1] == ("missing_label", "labels.csv", "line 3")


def test_a_task_with_objects_and_a_folder_without_a_table_are_refused(tmp_path):
    write(tmp_path, *ROWS)
    with pytest.raises(DataError, match="needs objects"):
        read_folder(tmp_path, objects())
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(DataError, match="no CSV file"):
        read_folder(tmp_path, labels())


@pytest.mark.parametrize(
    "text",
    [
        "\n\npath;class\nimages/a.jpg;good\nimages/b.jpg;crack\n",  # blank lines first
        "sep=;\r\npath;class\r\nimages/a.jpg;good\r\nimages/b.jpg;crack\r\n",  # as Excel declares the delimiter
    ],
)
def test_the_delimiter_is_found_below_the_first_line(tmp_path, text):
    write(tmp_path)
    (tmp_path / "labels.csv").write_text(text, newline="")
    annotations = read_folder(tmp_path, labels())
    assert not annotations.faults
    assert [image.labels for image in annotations.images] == [("good",), ("crack",)]


def test_lines_are_counted_as_editors_count_them(tmp_path):
    write(
        tmp_path, "path,class,note", "images/a.jpg,good,x\x0by\u2028z", "images/b.jpg,crack,\x85", "images/z.jpg,good,c"
    )
    assert places(read_folder(tmp_path, labels())) == [("missing_image", "labels.csv", "line 4")]


def test_faults_are_in_the_order_of_the_lines(tmp_path):
    write(tmp_path, "path,class", "images/z.jpg,good", ",good", "images/a.jpg,crack,more", "images/b.jpg,")
    entries = [entry for _, _, entry in places(read_folder(tmp_path, labels())) if entry.startswith("line")]
    assert entries == ["line 2", "line 3", "line 4", "line 5"]


def test_a_header_alone_is_a_fault(tmp_path):
    write(tmp_path, "path,class")
    assert places(read_folder(tmp_path, labels())) == [("broken_row", "labels.csv", "")]


def test_the_only_column_with_the_classes_is_that_of_the_single_label_set(tmp_path):
    write(tmp_path, "path,surface,person", "images/a.jpg,good,p1", "images/b.jpg,crack,p1", "images/c.jpg,good,p2")
    found = read_folder(tmp_path, objects(), classes_known=False)
    assert found.label_sets == {"class": {"crack": 1, "good": 2}}
    known = read_folder(tmp_path, labels())
    assert not known.faults
    assert not known.unused_columns
    assert [image.labels for image in known.images] == [("good",), ("crack",), ("good",)]
    others = read_folder(tmp_path, labels("red", "blue"))
    assert places(others) == [("broken_row", "labels.csv", "line 1")]
