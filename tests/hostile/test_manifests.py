"""Lists of files as a remote may hold them: each is refused before anything is fetched, with the whole message."""

# ruff: noqa: E501  (a table: one row a fault, with its whole message)

import json
import tracemalloc

import pytest
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree

from sightline.data.dvc.manifest import manifest_bytes, manifest_md5, parse_manifest
from sightline.errors import RepositoryError
from tests.golden import raises

MD5 = "0123456789abcdef0123456789abcdef"
REMEDY = "nothing was fetched: do not use this version; add its folder, or record it, as a new version"


def entries(*paths, md5=MD5):
    return json.dumps([{"md5": md5, "relpath": path} for path in paths]).encode()


# Contents of the object, what is said between "the list cannot be used: " and the remedy.
MANIFESTS = {
    # The text as a whole.
    "nothing at all": (b"", "it is empty"),
    "cut off by a broken transfer": (entries("a.jpg")[:-5], "not valid JSON: Unterminated string starting at (line 1, column 57)"),
    "an error page of a proxy": (b"<html>502</html>", "not valid JSON: Expecting value (line 1, column 1)"),
    "gzip that nobody unpacked": (b"\x1f\x8b\x08\x00\x00", "not UTF-8 (byte 0x1f at 0)"),
    "UTF-16": (entries("a").decode().encode("utf-16"), "not UTF-8 (byte 0xff at 0)"),
    "Latin-1 name": (entries("a").replace(b'"a"', b'"\xe9"'), "not UTF-8 (byte 0xe9 at 57)"),
    "100,000 brackets": (b"[" * 100_000, "brackets are nested too deeply"),
    "200 brackets": (b"[" * 200 + b"]" * 200, "brackets are nested too deeply"),
    "a whole number of 5,000 digits": (b"[" + b"9" * 5000 + b"]", "it contains an integer with thousands of digits"),
    "NaN": (b"[NaN]", "it contains NaN, which JSON does not allow"),
    # The list.
    "an object": (entries("a.jpg")[1:-1], "it is not a list of files"),
    "null": (b"null", "it is not a list of files"),
    "a path instead of an entry": (b'["a.jpg"]', "entry 0 is not an object with 'md5' and 'relpath'"),
    "a list in the list": (b"[" + entries("a.jpg") + b"]", "entry 0 is not an object with 'md5' and 'relpath'"),
    "null in the list": (entries("a.jpg")[:-1] + b", null]", "entry 1 is not an object with 'md5' and 'relpath'"),
    # One entry.
    "no keys": (b"[{}]", "entry 0 must have only the keys 'md5' and 'relpath', but it has none"),
    "no md5": (b'[{"relpath": "a.jpg"}]', "entry 0 must have only the keys 'md5' and 'relpath', but it has 'relpath'"),
    "an etag, as for a file outside": (b'[{"etag": "x", "relpath": "a.jpg"}]', "entry 0 must have only the keys 'md5' and 'relpath', but it has 'etag', 'relpath'"),
    "a third key": (b'[{"md5": "0123456789abcdef0123456789abcdef", "relpath": "a", "size": 3}]', "entry 0 must have only the keys 'md5' and 'relpath', but it has 'md5', 'relpath', 'size'"),
    "a key twice": (b'[{"relpath": "a", "relpath": "b"}]', "entry 0 must have only the keys 'md5' and 'relpath', but it has 'relpath', 'relpath'"),
    "an entry in an entry": (b'[{"md5": {"md5": "0123456789abcdef0123456789abcdef", "relpath": "a"}, "relpath": "b"}]', "entry 1: md5 must be 32 hexadecimal digits, but it is not a string"),
    "md5 of a folder": (entries("a", md5=MD5 + ".dir"), f"entry 0: md5 must be 32 hexadecimal digits, but it is '{MD5}.dir'"),
    "md5 too short": (entries("a", md5=MD5[1:]), f"entry 0: md5 must be 32 hexadecimal digits, but it is '{MD5[1:]}'"),
    "md5 in capitals": (entries("a", md5=MD5.upper()), f"entry 0: md5 must be 32 hexadecimal digits, but it is '{MD5.upper()}'"),
    "md5 that leads elsewhere": (entries("a", md5="../../../../../../../../etc/pass"), "entry 0: md5 must be 32 hexadecimal digits, but it is '../../../../../../../../etc/pass'"),
    "md5 with a line feed": (entries("a", md5=MD5 + "\n"), f"entry 0: md5 must be 32 hexadecimal digits, but it is '{MD5}\\n'"),
    "a path that is a number": (entries(7), "entry 0: relpath must be a string"),
    # The path.
    "empty": (entries(""), "entry 0, relpath '': it is empty"),
    "out of the folder": (entries("a.jpg", "../../.ssh/authorized_keys"), "entry 1, relpath '../../.ssh/authorized_keys': it contains . or .. as a component"),
    "out of it in the middle": (entries("a/../../b"), "entry 0, relpath 'a/../../b': it contains . or .. as a component"),
    "a dot": (entries("./a"), "entry 0, relpath './a': it contains . or .. as a component"),
    "absolute": (entries("/etc/passwd"), "entry 0, relpath '/etc/passwd': it begins or ends with a slash, or contains two in a row"),
    "a folder": (entries("a/"), "entry 0, relpath 'a/': it begins or ends with a slash, or contains two in a row"),
    "a drive letter": (entries("C:/a.jpg"), "entry 0, relpath 'C:/a.jpg': it begins with a drive letter"),
    "a stream of Windows": (entries("a:b"), "entry 0, relpath 'a:b': it begins with a drive letter"),
    "backslashes": (entries("..\\..\\a.jpg"), "entry 0, relpath '..\\\\..\\\\a.jpg': it contains a backslash"),
    "NUL": (entries("a.jpg\0.exe"), "entry 0, relpath 'a.jpg\\x00.exe': it contains a control character"),
    "a line feed, which forges a log line": (entries("a\nERROR"), "entry 0, relpath 'a\\nERROR': it contains a control character"),
    "half a character": (entries("\ud800.jpg"), "entry 0, relpath '\\ud800.jpg': it is not valid Unicode"),
    "1,025 bytes": (entries("d/" * 512 + "a"), f"entry 0, relpath '{'d/' * 18}d...': it has 1025 bytes, the limit is 1024"),
    "a name of 256 bytes": (entries("é" * 128), f"entry 0, relpath '{'é' * 37}...': a component is longer than 255 bytes"),
    "a path twice": (entries("a", "b", "a"), "entry 2: relpath 'a' is listed twice"),
    "a file that is a folder": (entries("a", "a-b", "a/b/c"), "'a' is a file, but also the folder of 'a/b/c'"),
}  # fmt: skip


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_list_that_is_not_in_order_is_refused_as_a_whole(case):
    content, message = MANIFESTS[case]
    with pytest.raises(RepositoryError) as caught:
        parse_manifest(content, "the list")
    assert str(caught.value) == f"the list is not valid: {message}; {REMEDY}"


def test_what_dvc_writes_is_read_and_written_again_byte_by_byte():
    tree = Tree()
    names = ["b/ü/1.jpg", "a.json", "B/1.jpg", "a b.jpg", ".hidden", "a-b", "x" * 255]
    for index, name in enumerate(names):
        tree.add(tuple(name.split("/")), None, HashInfo("md5", f"{index:032x}"))
    tree.digest()
    manifest = parse_manifest(tree.as_bytes(), "the list")
    assert manifest == {name: f"{index:032x}" for index, name in enumerate(names)}
    assert manifest_bytes(manifest) == tree.as_bytes()
    assert manifest_md5(manifest) == tree.oid


def test_an_empty_folder_is_an_empty_list():
    assert parse_manifest(b"[]", "the list") == {}
    assert parse_manifest(b"\xef\xbb\xbf[]", "the list") == {}


def test_too_long_a_list_is_refused_unread(monkeypatch):
    monkeypatch.setattr("sightline.data.dvc.manifest.MAX_MANIFEST_BYTES", 10)
    with raises(RepositoryError):
        parse_manifest(b" " * 12, "the list")


def test_reading_needs_no_dict_a_file():
    content = manifest_bytes({f"images/{index:08d}.jpg": f"{index:032x}" for index in range(50_000)})
    tracemalloc.start()
    manifest = parse_manifest(content, "the list")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(manifest) == 50_000
    # The text once more, two strings and a place in a dict a file, and the paths once in order.
    assert peak < 500 * len(manifest)
