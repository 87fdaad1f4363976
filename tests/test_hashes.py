"""Hashes that manifests and reports tell are those that anybody's ``sha256sum`` prints."""

from __future__ import annotations

from sedic.hashes import file_sha256, sha256

OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1


def test_a_file_and_its_bytes_have_one_hash_and_an_unreadable_one_has_none(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(b"abc") == file_sha256(tmp_path / "a") == OF_ABC
    large = bytes(range(256)) * (3 << 12)  # more than is read at once
    (tmp_path / "b").write_bytes(large)
    assert file_sha256(tmp_path / "b") == sha256(large)
    assert file_sha256(tmp_path / "none") is None
    assert file_sha256(tmp_path) is None
