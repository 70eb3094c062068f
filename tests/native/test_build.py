"""Where the kernels come from, and where there are none."""

import os
import stat

import pytest
import torch

from seqsmith import native
from seqsmith.native import build

library = build.library.__wrapped__  # not what an earlier test was given


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQSMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def compiled(cache):
    """The file of the kernels."""
    if library() is None:
        pytest.skip("needs a C compiler with OpenMP")
    (path,) = (cache / "compiled").iterdir()
    return path


def test_they_are_compiled_once(compiled):
    assert stat.S_IMODE(compiled.stat().st_mode) == 0o700
    before = compiled.stat().st_mtime_ns
    assert library() is not None
    assert compiled.stat().st_mtime_ns == before
    assert len(list(compiled.parent.iterdir())) == 1


def test_a_umask_that_lets_the_group_write_keeps_nobody_from_them(cache):
    before = os.umask(0o002)
    try:
        made = library()
    finally:
        os.umask(before)
    if made is None:
        pytest.skip("needs a C compiler with OpenMP")
    assert stat.S_IMODE((cache / "compiled").stat().st_mode) == 0o700


@pytest.mark.parametrize("writable", ["file", "folder"])
def test_a_file_that_another_may_have_written_is_not_loaded(compiled, writable):
    place = compiled if writable == "file" else compiled.parent
    place.chmod(0o777)
    assert library() is None


def test_without_a_compiler_there_are_none(cache, monkeypatch):
    monkeypatch.setenv("PATH", str(cache))
    assert library() is None
    assert not cache.exists()


def test_a_compiler_that_cannot_leaves_nothing(cache, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    compiler = tmp_path / "bin" / "cc"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ]\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert library() is None
    assert not list((cache / "compiled").iterdir())


def test_a_cache_that_cannot_be_made_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEQSMITH_CACHE", str(tmp_path / "file" / "cache"))
    assert library() is None


def test_they_are_taken_only_where_they_are_wanted():
    assert not native.use(False)
    assert not native.know(torch.zeros(3))
