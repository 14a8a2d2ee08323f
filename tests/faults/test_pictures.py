"""Wrong and odd picture files: each gives the right pixels, or one sentence that helps."""

from __future__ import annotations

import errno
import io
import os
import re
import socket
import sys
import threading
from pathlib import Path

import bad_pictures
import numpy as np
import odd_pictures
import pytest
from memory import forget_peak, peak
from odd_pictures import TRUTH, saved

from colorlab.data import reading
from colorlab.data.reading import UnreadableImageError, read_rgb, read_upload
from colorlab.files import shown

ODD = odd_pictures.pictures()
BAD = {
    **bad_pictures.no_pictures(),
    **{kind: (data, bad_pictures.EITHER) for kind, data in bad_pictures.cut_short().items()},
}
BOMBS = bad_pictures.bombs()
ALLOWED = (UnreadableImageError, FileNotFoundError, PermissionError)


def outcome(read, *args):
    """What reading gives: pixels, or an error of an allowed type. It must not hang."""
    answers = []

    def work():
        try:
            answers.append(read(*args))
        except ALLOWED as error:
            answers.append(error)

    # A thread of its own, since what waits for a pipe can't be interrupted.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "reading hangs"
    (answer,) = answers  # none where another type of error ended the thread
    return answer


def check_refused(answer, name: str, message: str) -> None:
    """An error of one printable line: the file, what is wrong, what to do."""
    assert isinstance(answer, ALLOWED), answer
    text = str(answer)
    assert text.isprintable(), text
    assert name in text, text
    assert re.search(message, text), text
    assert "; " in text, text  # a remedy follows
    assert len(text) < 600


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_picture_is_read_right(kind, tmp_path, fault):
    odd = ODD[kind]
    file = tmp_path / "wrong extension.jpg"
    file.write_bytes(odd.content)
    with fault("pictures", kind):
        got = outcome(read_rgb, file)
        assert got.shape == odd.truth.shape
        assert np.abs(got.astype(int) - odd.truth).max() <= odd.tolerance
        np.testing.assert_array_equal(read_upload(odd.content, "a.png"), got)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_picture_is_refused_in_words(kind, tmp_path, fault):
    content, message = BAD[kind]
    file = tmp_path / "bad.jpg"
    file.write_bytes(content)
    with fault("pictures", kind):
        check_refused(outcome(read_rgb, file), "bad.jpg", message)
        check_refused(outcome(read_upload, content, "bad.jpg"), "bad.jpg", message)


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(kind, tmp_path, fault):
    content, message = BOMBS[kind]
    with fault("pictures", kind):
        forget_peak()
        before = peak()
        check_refused(outcome(read_upload, content, "bomb.png"), "bomb.png", message)
        assert peak() - before < 100e6


def test_too_many_bytes_are_refused_before_they_are_read(tmp_path, fault):
    file = tmp_path / "endless.png"
    with fault("pictures", "a file of 1 TB"):
        with open(file, "wb") as stream:
            stream.truncate(10**12)  # takes no space on the disk
        check_refused(outcome(read_rgb, file), "endless.png", r"1,000,000 MB, at most 268 MB")
    with fault("pictures", "an upload of too many bytes"):
        answer = outcome(read_upload, b"x" * 1001, "a.png", 1000)
        check_refused(answer, "a.png", "1,001 bytes, at most 1,000 bytes")


NAMES = {
    "spaces": " a  b .png",
    "a line break": "a\nb.png",
    "colours of the terminal": "\x1b[31mred.png",
    "emoji": "🦊 forêt 森.png",
    "bytes that are no text": b"caf\xe9 \xff.png",
    "writing turned round": "a\u202egnp.exe",
    "a percent sign and braces": "100% {x} %s.png",
    "HTML": "<img src=x onerror=alert(1)>.png",
    "255 bytes": "n" * 251 + ".png",
}


@pytest.mark.parametrize("kind", NAMES)
def test_any_name_is_read_and_shown_in_one_line(kind, tmp_path, fault):
    file = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), os.fsencode(NAMES[kind]))))
    with fault("pictures", f"a name with {kind}"):
        try:
            file.write_bytes(saved(TRUTH, "PNG"))
        except OSError:
            pytest.skip("this disk takes no such name")
        np.testing.assert_array_equal(outcome(read_rgb, file), TRUTH)
        file.write_bytes(b"no picture")
        name = shown(file.name)
        check_refused(outcome(read_rgb, file), name, bad_pictures.NO_PICTURE)
        check_refused(outcome(read_upload, b"no", file.name), name[-90:], bad_pictures.NO_PICTURE)


def test_names_that_no_file_has(tmp_path, fault):
    (tmp_path / "a.png").write_bytes(saved(TRUTH, "PNG"))
    for kind, name, message in (
        ("nothing there", "nowhere.png", "no such picture file; check the path"),
        ("a zero byte", "zero\0byte.png", r"zero\\x00byte.png: no such picture file"),
        ("a file taken for a folder", "a.png/b.png", "no such picture file"),
        ("5,000 letters", "n" * 5000 + ".png", "cannot be read .+; check"),
    ):
        with fault("pictures", kind):
            check_refused(outcome(read_rgb, str(tmp_path / name)), ".png", message)


def test_what_is_no_plain_file(tmp_path, fault):
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    device = "a pipe or device, not a picture file; remove it"
    for name, message in (
        ("folder.jpg", "a folder, not a picture; name the files in it"),
        ("pipe.jpg", device),
        ("zero.jpg", device),
        ("loop.jpg", "a link that leads back to itself; remove it"),
        ("gone.jpg", "a link that leads nowhere; check the path"),
    ):
        with fault("pictures", name):
            check_refused(outcome(read_rgb, tmp_path / name), name, message)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/fd")
def test_a_socket_is_no_picture(tmp_path, fault):
    here = os.open(tmp_path, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{here}/socket.jpg")  # the path itself may be too long for one
        os.close(here)
        with fault("pictures", "a socket"):
            answer = outcome(read_rgb, tmp_path / "socket.jpg")
            check_refused(answer, "socket.jpg", "a pipe or device")


def test_a_link_to_a_picture_is_followed(tmp_path, fault):
    (tmp_path / "a.png").write_bytes(saved(TRUTH, "PNG"))
    (tmp_path / "link.jpg").symlink_to("a.png")
    with fault("pictures", "a link to a picture"):
        np.testing.assert_array_equal(outcome(read_rgb, tmp_path / "link.jpg"), TRUTH)


def test_a_file_that_becomes_a_pipe_when_it_is_opened(tmp_path, monkeypatch, fault):
    plain = tmp_path / "plain.png"
    plain.write_bytes(saved(TRUTH, "PNG"))
    status = os.stat(plain)
    os.mkfifo(tmp_path / "pipe.png")
    with fault("pictures", "a file that becomes a pipe"):
        with monkeypatch.context() as patch:  # undone before pytest itself asks
            patch.setattr(reading.os, "stat", lambda path: status)
            answer = outcome(read_rgb, tmp_path / "pipe.png")
        check_refused(answer, "pipe.png", "a pipe or device")


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("not permitted", PermissionError(errno.EACCES, "no"), "may not be read; check its perm"),
        ("a failing disk", OSError(errno.EIO, "Input/output error"), "Input/output error.+; check"),
        ("removed while opened", FileNotFoundError(errno.ENOENT, "no"), "no such picture file"),
    ],
)
def test_what_the_system_refuses(kind, error, message, tmp_path, monkeypatch, fault):
    """Simulated, since who runs the tests as root may read everything."""
    (tmp_path / "a.png").write_bytes(saved(TRUTH, "PNG"))

    def refuse(*args):
        raise error

    with fault("pictures", kind):
        with monkeypatch.context() as patch:
            patch.setattr(reading.os, "open", refuse)
            answer = outcome(read_rgb, tmp_path / "a.png")
        check_refused(answer, "a.png", message)


def test_no_memory_is_told(monkeypatch, fault):
    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(reading.Image, "open", fail)
    with fault("pictures", "no memory"):
        answer = outcome(read_rgb, io.BytesIO(b"any"), "large.png")
        check_refused(answer, "large.png", "too large for the memory that is free; make it smaller")
