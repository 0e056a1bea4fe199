"""Reading requirements: what is taken, and what is refused."""

import pytest

from kit.deps import parse_words, read_file, read_spec
from kit.errors import RequirementError
from kit.requirements import redact

GIT_URL = "git+https://host/you/your_package@v0.1"


@pytest.mark.parametrize(
    ("word", "import_name", "name", "specifier", "url"),
    [
        ("scikit-learn==1.5.2", None, "scikit-learn", "==1.5.2", None),
        ("sklearn=scikit-learn==1.5.2", "sklearn", "scikit-learn", "==1.5.2", None),
        (f"your_package={GIT_URL}", "your_package", None, "", GIT_URL),
        ("google.cloud=google-cloud-core", "google.cloud", "google-cloud-core", "", None),
        ("numpy===1.26", None, "numpy", "===1.26", None),
        ("numpy>=1.26,<3", None, "numpy", "<3,>=1.26", None),
        (f"your-package @ {GIT_URL}", None, "your-package", "", GIT_URL),
        (f"your-package@{GIT_URL}", None, "your-package", "", GIT_URL),
        (f"yours=your-package @ {GIT_URL}", "yours", "your-package", "", GIT_URL),
        ("https://host/a_b-1.0-py3-none-any.whl", None, "a_b", "==1.0", "https://host/a_b-1.0-py3-none-any.whl"),
        ("/wheels/a_b-1.0-py3-none-any.whl", None, "a_b", "==1.0", "file:///wheels/a_b-1.0-py3-none-any.whl"),
    ],
)
def test_a_word_is_a_requirement_or_an_import_name_with_one(word, import_name, name, specifier, url):
    (read,) = parse_words([word])
    assert (read.import_name, read.name, read.specifier, read.url) == (import_name, name, specifier, url)


def test_the_three_words_of_a_name_and_its_url_are_one_requirement():
    names = [read.name for read in parse_words(["alpha", "@", "https://host/alpha.zip", "beta==1"])]
    assert names == ["alpha", "beta"]


def test_a_spec_may_mix_dicts_and_requirements_and_says_each_once():
    read = read_spec([{"sklearn": "scikit-learn==1.5.2"}, "numpy", {"yaml": "pyyaml"}, "numpy"])
    assert [(r.import_name, r.name) for r in read] == [("sklearn", "scikit-learn"), (None, "numpy"), ("yaml", "pyyaml")]


def test_requirements_already_read_pass_through():
    read = parse_words(["alpha==1.0"])
    assert read_spec(read) == read


def test_extras_and_markers_are_read_and_the_marker_is_not_passed_to_the_installer():
    (read,) = read_spec("alpha[b, a]>=1 ; python_version > '3'")
    assert (read.extras, read.marker, read.argument) == (("a", "b"), 'python_version > "3"', "alpha[a,b]>=1")


def test_a_path_is_made_absolute_with_its_extras_and_marker(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (read,) = read_spec("./my package[plot] ; python_version > '3'")
    assert (read.url, read.extras) == (tmp_path.joinpath("my package").as_uri(), ("plot",))
    assert read.argument == f"{tmp_path}/my package[plot]"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "-r other.txt",
        "--index-url=https://evil",
        "-e .",
        "alpha --index-url https://evil",
        "alpha==1 -i https://evil",
        "alpha\n--index-url https://evil",
        "alpha\n",
        "alpha\x00",
        "alpha\u202e",
        "alpha beta",
        "alpha=1.0",
        "alpha==",
        "alpha==not/a/version",
        "alpha; python_version <",
        "./alpha ; nonsense",
        "1.26",
        "git+ext::sh",
        "hg+https://host/you/alpha",
        "alpha @ ftp://host/alpha.zip",
        "git@host:you/alpha.git",
        "https:///alpha.zip",
        "file://[/alpha.zip",
        "https://host/al pha.zip",
        "git+ssh://-oProxyCommand=evil/alpha",
        "git+https://host/you/alpha@--upload-pack=evil",
    ],
)
def test_what_is_no_requirement_or_hides_something_is_refused(text):
    with pytest.raises(RequirementError) as caught:
        read_spec([text])
    assert len(caught.value.message.splitlines()) == len(caught.value.hint.splitlines()) == 1


@pytest.mark.parametrize("spec", [3, None, [None], {"alpha": 1}, {"al-pha": "alpha"}, {1: "alpha"}, b"alpha"])
def test_a_spec_of_another_kind_is_refused(spec):
    with pytest.raises(RequirementError):
        read_spec(spec)


def test_a_version_in_place_of_a_requirement_is_answered_with_how_to_write_it():
    with pytest.raises(RequirementError, match=r"numpy==1\.26"):
        read_spec({"numpy": "1.26"})
    with pytest.raises(RequirementError, match=r"numpy==1\.26"):
        parse_words(["numpy=1.26"])


def test_a_requirements_file_has_comments_continued_lines_nested_files_and_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_TOKEN", "s3cret")
    tmp_path.joinpath("base.txt").write_text("gamma\n\nalpha==1.0\n")
    tmp_path.joinpath("requirements.txt").write_text(
        "# what the flow needs\n-r base.txt\nalpha==1.0  # again\nbeta>=1,\\\n  <2\n"
        "delta @ git+https://${KIT_TOKEN}@host/delta#subdirectory=sub\n"
    )
    read = read_file(tmp_path / "requirements.txt")
    assert [r.name for r in read] == ["gamma", "alpha", "beta", "delta"]
    assert read[3].url == "git+https://s3cret@host/delta#subdirectory=sub"


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("--index-url https://user:s3cret@host/simple", "--index-url"),
        ("-ihttps://s3cret@host", "-i"),
        ("-e .", "-e"),
        ("-c constraints.txt", "-c"),
        ("alpha==1.0 --hash=sha256:s3cret", "--hash"),
    ],
)
def test_other_options_of_a_requirements_file_are_refused_by_name(tmp_path, line, option):
    path = tmp_path / "requirements.txt"
    path.write_text(f"alpha\n{line}\n")
    with pytest.raises(RequirementError, match=f"line 2: the option {option} is") as caught:
        read_file(path)
    assert "s3cret" not in str(caught.value)


def test_a_wrong_line_of_a_requirements_file_is_named(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("alpha\nbeta \\\n  ==1\nalpha beta\n")
    with pytest.raises(RequirementError, match="line 4: 'alpha beta'"):
        read_file(path)


def test_a_requirements_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(RequirementError, match="cannot be read"):
        read_file(tmp_path / "requirements.txt")


def test_a_requirements_file_that_includes_itself_is_refused(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("-r requirements.txt\n")
    with pytest.raises(RequirementError, match="includes itself"):
        read_file(path)


def test_credentials_are_never_shown():
    (read,) = read_spec({"alpha": "git+https://user:p@ss@host/you/alpha@v1"})
    assert read.argument == "git+https://user:p@ss@host/you/alpha@v1"
    assert read.label == "git+https://***@host/you/alpha@v1"
    assert repr(read) == "Requirement('alpha=git+https://***@host/you/alpha@v1')"
    assert redact("https://host/a.zip?x=1&token=s3cret") == "https://host/a.zip?x=1&token=***"
    assert redact("git+ssh://git@host/you/alpha@v1") == "git+ssh://git@host/you/alpha@v1"
