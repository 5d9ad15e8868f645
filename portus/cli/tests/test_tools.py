"""A registry program is found on the PATH, or kept in the tools folder, or taken out of Debian's package."""

import stat
import subprocess

import pytest

from portus.cli import tools

REGISTRY = "echo registry github.com/docker/distribution {version}+ds1"
# What apt-get and dpkg-deb do, without a network: the "package" is a file that apt-get leaves in its folder.
APT_GET = 'for last; do :; done; echo "$*" >> {log}; [ "$last" = update ] || echo package > docker-registry_1_amd64.deb'
DPKG_DEB = f"mkdir -p $3/usr/bin; printf '#!/bin/sh\\n{REGISTRY}\\n' > $3/usr/bin/docker-registry; " + (
    "chmod +x $3/usr/bin/docker-registry"
)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is the whole PATH, besides what a shell script needs; write programs into it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "mkdir", "chmod", "printf", "echo"):
        (folder / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def write_program(place, script):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
    return place


@pytest.fixture
def debian(path, tmp_path):
    """apt-get and dpkg-deb that work; the calls of apt-get are in the file that is returned."""
    log = tmp_path / "apt.log"
    write_program(path / "apt-get", APT_GET.format(log=log))
    write_program(path / "dpkg-deb", DPKG_DEB.format(version="2.8.2"))
    return log


@pytest.mark.parametrize("name", ["registry", "docker-registry"])
def test_it_takes_the_one_on_the_path(path, tmp_path, name):
    program = write_program(path / name, REGISTRY.format(version="2.8.3"))

    assert tools.find_registry(tmp_path / "data") == program


def test_it_passes_over_another_program_of_that_name(path, tmp_path):
    write_program(path / "registry", "echo registry of births 1.2.3")
    program = write_program(path / "docker-registry", REGISTRY.format(version="2.8.2"))

    assert tools.find_registry(tmp_path / "data") == program


def test_it_takes_the_one_it_kept_without_asking_debian(debian, tmp_path):
    program = write_program(tmp_path / "data/tools/docker-registry", REGISTRY.format(version="2.8.2"))

    assert tools.find_registry(tmp_path / "data") == program
    assert not debian.exists()


def test_it_fetches_debians_and_leaves_nothing_else(debian, tmp_path):
    program = tools.find_registry(tmp_path / "data")

    assert program == tmp_path / "data/tools/docker-registry"
    assert tools.registry_version(program) == "2.8.2"
    assert [entry.name for entry in (tmp_path / "data/tools").iterdir()] == ["docker-registry"]
    assert len(debian.read_text().splitlines()) == 1


def test_it_gets_package_lists_of_its_own_when_the_machine_has_none(debian, path, tmp_path):
    refused = 'case "$*" in *lists=*) ;; *) echo "E: Unable to locate package" >&2; exit 100 ;; esac; '
    write_program(path / "apt-get", refused + APT_GET.format(log=debian))

    assert tools.find_registry(tmp_path / "data") is not None
    assert [line.split()[-1] for line in debian.read_text().splitlines()] == ["update", "docker-registry"]


def test_it_says_why_when_debian_does_not_answer(debian, path, tmp_path, caplog):
    write_program(path / "apt-get", "echo 'E: Could not resolve' >&2; exit 100")

    assert tools.find_registry(tmp_path / "data") is None
    assert "A registry could not be fetched from Debian: E: Could not resolve" in caplog.text
    assert not list((tmp_path / "data/tools").iterdir())


def test_it_does_not_keep_a_program_that_does_not_run(debian, path, tmp_path, caplog):
    write_program(path / "dpkg-deb", DPKG_DEB.replace("distribution", "something"))

    assert tools.find_registry(tmp_path / "data") is None
    assert "holds no registry that runs here" in caplog.text


def test_it_gives_up_where_there_is_no_debian(path, tmp_path, caplog):
    assert tools.find_registry(tmp_path / "data") is None
    assert "this is no Debian" in caplog.text


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("/usr/bin/docker-registry github.com/docker/distribution 2.8.2+ds1", "2.8.2"),
        ("registry github.com/distribution/distribution/v3 v3.1.1+unknown", "3.1.1"),
        ("registry of births 1.2.3", None),
        ("", None),
    ],
)
def test_it_reads_the_version(tmp_path, output, version):
    assert tools.registry_version(write_program(tmp_path / "registry", f"echo '{output}'")) == version


def test_a_missing_program_has_no_version(tmp_path):
    assert tools.registry_version(tmp_path / "registry") is None


@pytest.mark.registry
def test_it_really_fetches_debians(tmp_path):
    if subprocess.run(["apt-get", "--version"], check=False, capture_output=True).returncode:
        pytest.skip("NOT RUN: fetching Debian's registry, for want of Debian")

    program = tools.fetch_registry(tmp_path / "tools")

    if program is None:
        pytest.skip("NOT RUN: fetching Debian's registry, for want of a network")
    assert tools.registry_version(program).startswith("2.")
