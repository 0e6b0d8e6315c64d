"""Recipes, overrides, tags, object names and addresses that cannot be used, with the whole message."""

# ruff: noqa: E501  (a table: one row a fault, with its whole message)

import pytest

from sightline.config.decode import decode, from_json
from sightline.config.settings import settings_path
from sightline.data.tags import DatasetTag
from sightline.database.engine.connection import connect
from sightline.errors import ConfigurationError, DatabaseError, StorageError
from sightline.storage import open_storage
from sightline.storage.keys import validate_key
from tests.golden import raises

NO_CLASSES = (
    "data.classes: required; set it with --set data.classes=... (Class names; category ids are 1, 2, ... in this order; "
    "set by label_sets if these are given)"
)
SECTIONS = "data, database, evaluate, model, reading, recipe, seed, storage, task, test, tracking, train, work"
BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(letter)}: &{chr(letter)} [*{chr(letter - 1)}, *{chr(letter - 1)}]\n" for letter in range(98, 123)
)


def bad_yaml(reason):
    return f"RECIPE is not valid YAML: {reason}; fix or remove it"


def faults(*lines):
    return "\n".join(
        [
            f"the configuration (recipe RECIPE) has {len(lines)} error{'s'[: len(lines) != 1]}:",
            *(f"  {line}" for line in lines),
        ]
    )


# A recipe file, what is said.
RECIPES = {
    "nothing": (b"", faults(NO_CLASSES)),
    "a list": (b"- data", "RECIPE must contain sections such as data:, but it contains a list"),
    "a word": (b"data", "RECIPE must contain sections such as data:, but it contains a single value"),
    "an alias bomb": (BOMB.encode(), bad_yaml("alias *a is refused: write it out (line 2, column 8)")),
    "an alias of itself": (b"data: &a [*a]", bad_yaml("alias *a is refused: write it out (line 1, column 11)")),
    "a tag that runs code": (b"data: !!python/object/apply:os.system [ls]", bad_yaml("a tag (!) is refused: write the plain value (line 1, column 7)")),
    "a key twice": (b"data: {tag: a, tag: b}", bad_yaml("duplicate key 'tag' (line 1, column 7)")),
    "a number for a key": (b"1: 2", bad_yaml("key 1 is not a string (line 1, column 1)")),
    "a list for a key": (b"? [a, b]\n: c", bad_yaml("key ['a', 'b'] is not a string (line 1, column 3)")),
    "100,000 brackets": (b"[" * 100_000, bad_yaml("it is nested too deeply (line 1, column 51)")),
    "a megabyte": (b"a: " + b"x" * 1_000_000, bad_yaml("it has 1,000,003 characters, more than 1,000,000")),
    "5,000 digits": (b"seed: " + b"9" * 5000, bad_yaml("it contains an integer with thousands of digits")),
    "a number without digits": (b"seed: 0x_", bad_yaml("it contains an integer with no digits")),
    "a tab": (b"data:\n\ttag: a", bad_yaml("found character '\\t' that cannot start any token (line 2, column 1)")),
    "NUL": (b"data: \0", bad_yaml("it contains the control character U+0000 at 6")),
    "half a list": (b"data: [1", bad_yaml("expected ',' or ']', but got '<stream end>' (line 1, column 9)")),
    "two documents": (b"seed: 1\n---\nseed: 2", bad_yaml("found another document (line 2, column 1)")),
    "UTF-16": ("seed: 1".encode("utf-16"), "RECIPE is not UTF-8 (byte 0xff at 0); save it as UTF-8"),
    "Latin-1": ("# Größe".encode("latin-1"), "RECIPE is not UTF-8 (byte 0xf6 at 4); save it as UTF-8"),
    "a merge key": (b"<<: {seed: 1}", faults(NO_CLASSES, f"<<: unknown key '<<'. Available: {SECTIONS}")),
    "a section that is a list": (b"data: [1]", faults("data: [1] is not valid; expected a valid dictionary or instance of Data")),
    "a long value": (b"data: {classes: [a], jobs: " + b"x" * 1000 + b"}", faults(f"data.jobs: '{'x' * 199}... is not valid; expected a valid integer, unable to parse string as an integer")),
}  # fmt: skip


@pytest.mark.parametrize("case", RECIPES)
def test_a_recipe_file_is_read_strictly(case, tmp_path):
    content, message = RECIPES[case]
    recipe = tmp_path / "mine.yaml"
    recipe.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        decode(str(recipe))
    assert str(caught.value).replace(str(recipe), "RECIPE") == message


def test_the_settings_file_is_read_as_strictly():
    settings_path().write_bytes(b"data: !!python/name:os.system")
    with pytest.raises(ConfigurationError) as caught:
        decode("plates")
    reason = "a tag (!) is refused: write the plain value (line 1, column 7)"
    assert str(caught.value) == f"{settings_path()} is not valid YAML: {reason}; fix or remove it"


# An override, the line about it.
TOKEN = "expected a URL without a password or token; set SIGHTLINE_GIT_TOKEN in the environment instead"
PASSWORD = "expected a URL without a password; set SIGHTLINE_DATABASE_PASSWORD in the environment instead"
CREDENTIALS = "expected a URL without a password; credentials come from the environment, as Google's tools take them"
OVERRIDES = {
    "no value": ("=", "'=' is not an override; expected KEY=VALUE, such as data.tag=plates_ann_v1"),
    "a URL for an override": ("https://me:canary@host/x", "'https://***@host/x' is not an override; expected KEY=VALUE, such as data.tag=plates_ann_v1"),
    "NUL": ("model.weights=\0", "model.weights: '\\x00' is not valid YAML (it contains the control character U+0000 at 0)"),
    "half a character": ("data.tag=\ud800", "data.tag: '\\ud800' is not valid YAML (it contains the control character U+D800 at 0)"),
    "infinity": ("train.learning_rate=1e999", "train.learning_rate: '1e999' is not valid; expected a finite number"),
    "400 digits": ("seed=" + "9" * 400, f"seed: {'9' * 200}... is not valid; expected less than 4294967296"),
    "a million proposals": ("model.proposals=1000000", "model.proposals: 1000000 is not valid; expected less than or equal to 100000"),
    "no work folder": ("work.dir=", "work.dir: '' is not valid; expected String should have at least 1 character"),
    "half an expression": ("data.group_pattern=(", "data.group_pattern: '(' is not valid; expected a regular expression, but missing ), unterminated subpattern at position 0"),
    "a password for git": ("data.repository=https://me:canary@host/x.git", f"data.repository: 'https://***@host/x.git' is not valid; {TOKEN}"),
    "a token for git": ("data.repository=https://ghp_canary@host/x.git", f"data.repository: 'https://***@host/x.git' is not valid; {TOKEN}"),
    "a password for the database": ("database.url=mysql+pymysql://me:canary@host/x", f"database.url: 'mysql+pymysql://***@host/x' is not valid; {PASSWORD}"),
    "a password with a slash": ("database.url=mysql+pymysql://me:can/ary@host/x", f"database.url: 'mysql+pymysql://***@host/x' is not valid; {PASSWORD}"),
    "a password with an at sign": ("database.url=mysql+pymysql://me:can@ary@host/x", f"database.url: 'mysql+pymysql://***@host/x' is not valid; {PASSWORD}"),
    "a password in the query": ("database.url=mysql+pymysql://me@host/x?password=canary", f"database.url: 'mysql+pymysql://***@host/x?password=***' is not valid; {PASSWORD}"),
    "a password for a bucket": ("storage.uri=gs://me:canary@bucket", f"storage.uri: 'gs://***@bucket' is not valid; {CREDENTIALS}"),
    "a token for weights": ("model.weights=https://host/w?access_token=canary", f"model.weights: 'https://host/w?access_token=***' is not valid; {CREDENTIALS}"),
}  # fmt: skip


@pytest.mark.parametrize("case", OVERRIDES)
def test_an_override_that_does_not_fit_is_named_without_a_secret(case):
    override, message = OVERRIDES[case]
    with pytest.raises(ConfigurationError) as caught:
        decode("plates", [override])
    assert str(caught.value) == f"the configuration (recipe plates) has 1 error:\n  {message}"


def test_a_resolved_configuration_with_a_key_twice_is_refused():
    with pytest.raises(ConfigurationError) as caught:
        from_json('{"seed": 1, "seed": 2}')
    assert str(caught.value) == (
        "the resolved configuration is not valid for this version of Sightline; run resolve again:\n  duplicate key 'seed'"
    )


NO_TAG = "is not a dataset tag; expected <dataset>_ann_<version> or <dataset>_train_<version>, made of letters, digits, '-' and '.' ('_' only in the dataset's name), such as plates_ann_v1"
UNFIT = "do not make a valid tag; expected letters, digits, '-' and '.' ('_' only in the dataset's name), beginning with a letter or digit, without '..', '_ann_' or '_train_' inside, at most 200 characters"
# A tag, what is said.
TAGS = {
    "nothing": ("", f"'' {NO_TAG}"),
    "no version": ("plates_ann_", f"'plates_ann_' {NO_TAG}"),
    "a path": ("../../plates_ann_v1", f"'../../plates_ann_v1' {NO_TAG}"),
    "a path behind": ("plates_ann_v1/../v2", f"'plates_ann_v1/../v2' {NO_TAG}"),
    "an option for git": ("--upload-pack=x_ann_v1", f"'--upload-pack=x_ann_v1' {NO_TAG}"),
    "a command": ("plates_ann_$(id)", f"'plates_ann_$(id)' {NO_TAG}"),
    "a line feed": ("plates_ann_v1\n", f"'plates_ann_v1\\n' {NO_TAG}"),
    "a letter that looks like another": ("pl\u0430tes_ann_v1", f"'pl\u0430tes_ann_v1' {NO_TAG}"),
    "two dots": ("plates_ann_v1..2", f"dataset 'plates' and version 'v1..2' {UNFIT}"),
    "what git keeps for itself": ("plates_ann_v1.lock", f"dataset 'plates' and version 'v1.lock' {UNFIT}"),
    "two readings": ("a_ann_b_train_c", f"dataset 'a_ann_b' and version 'c' {UNFIT}"),
    "300 letters": ("x" * 300 + "_ann_v1", f"dataset '{'x' * 300}' and version 'v1' {UNFIT}"),
}  # fmt: skip


@pytest.mark.parametrize("case", TAGS)
def test_a_tag_is_one_or_none(case):
    tag, message = TAGS[case]
    with pytest.raises(ConfigurationError) as caught:
        DatasetTag.parse(tag)
    assert str(caught.value) == message


# An object's name, what is said in the middle.
KEYS = {
    "nothing": ("", "it is empty"),
    "absolute": ("/etc/passwd", "it begins or ends with a slash, or contains two in a row"),
    "a folder": ("results/", "it begins or ends with a slash, or contains two in a row"),
    "two slashes": ("a//b", "it begins or ends with a slash, or contains two in a row"),
    "out of the bucket": ("../../etc/passwd", "it contains . or .. as a component"),
    "a dot": ("a/./b", "it contains . or .. as a component"),
    "a backslash": ("..\\..\\a", "it contains a backslash"),
    "a drive letter": ("C:/a", "it begins with a drive letter"),
    "NUL": ("a\0.json", "it contains a control character"),
    "a carriage return": ("a\rb", "it contains a control character"),
    "a line break that only Unicode knows": ("a\u2028b", "it contains a control character"),
    "half a character": ("\udcff", "it is not valid Unicode"),
    "1,201 bytes": ("a/" * 600 + "b", "it has 1201 bytes, the limit is 1024"),
    "a name of 256 bytes": ("é" * 128, "a component is longer than 255 bytes"),
    "a name that is kept": (".sightline/lock", ".sightline/ is reserved"),
}  # fmt: skip


@pytest.mark.parametrize("case", KEYS)
def test_an_object_s_name_means_the_same_everywhere(case):
    key, message = KEYS[case]
    with pytest.raises(StorageError) as caught:
        validate_key(key)
    assert str(caught.value) == (
        f"object key {key!r} cannot be used: {message}; a key is a relative path such as results/train/model.json"
    )


# A database URL, what is said.
UNREADABLE = "the database URL cannot be read; expected sqlite:////absolute/path or mysql+pymysql://user@host:3306/name"
HOLDS = "the URL contains a password, which would appear in process lists and logs; remove it and set SIGHTLINE_DATABASE_PASSWORD in the environment"
DATABASES = {
    "nothing": ("", UNREADABLE),
    "a path": ("/tmp/x.sqlite", UNREADABLE),
    "a port that is a word": ("mysql+pymysql://h:canary/d", UNREADABLE),
    "in memory": ("sqlite://", "database sqlite://: the database must be a file that all steps can open; expected sqlite:////absolute/path"),
    "another server": ("postgresql://h/d", "database postgresql://h/d: unknown kind of database 'postgresql'. Available: sqlite, mysql, mariadb"),
    "another driver": ("mysql+mysqldb://h/d", "database mysql+mysqldb://h/d: only the driver pymysql is supported; use mysql+pymysql://"),
    "no name": ("mysql+pymysql://h", "database mysql+pymysql://h: the URL has no database name; expected ...@host:3306/name"),
    "a password": ("mysql+pymysql://me:canary@h/d", f"database mysql+pymysql://***@h/d: {HOLDS}"),
    "a password with an at sign": ("mysql+pymysql://me:can@ary@h/d", f"database mysql+pymysql://***@h/d: {HOLDS}"),
}  # fmt: skip


@pytest.mark.parametrize("case", DATABASES)
def test_a_database_url_is_read_strictly(case):
    url, message = DATABASES[case]
    with pytest.raises(DatabaseError) as caught:
        connect(url)
    assert str(caught.value) == message


# A storage URI, what is said.
URIS = {
    "nothing": ("", "the storage URI is empty; give a path, or file:///absolute/path"),
    "another machine": ("file://host/x", "storage URI 'file://host/x' is not a local path; expected file:///absolute/path with three slashes, and # and ? written as %23 and %3F"),
    "a question": ("file:///x?y", "storage URI 'file:///x?y' is not a local path; expected file:///absolute/path with three slashes, and # and ? written as %23 and %3F"),
}  # fmt: skip


@pytest.mark.parametrize("case", URIS)
def test_a_storage_uri_is_read_strictly(case):
    uri, message = URIS[case]
    with pytest.raises(StorageError) as caught:
        open_storage(uri)
    assert str(caught.value) == message


def test_a_storage_uri_is_shown_without_a_password():
    with raises(StorageError, "https://***@host/x", "https") as caught:
        open_storage("https://me:canary@host/x")
    assert "canary" not in str(caught.value)
