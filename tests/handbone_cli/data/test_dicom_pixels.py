from __future__ import annotations

import builtins
import contextlib
import warnings

import cv2
import numpy as np
import pytest

from handbone_cli.data.dicom_pixels import find_dicom_fault
from handbone_cli.data.images import find_fault, read_grey
from handbone_cli.errors import HandboneError, UnreadableImageError
from handbone_cli.testing import write_dicom

pydicom = pytest.importorskip("pydicom")

RAMP = np.arange(256, dtype=np.uint8).reshape(8, 32)
DEEP = (np.arange(4096, dtype=np.uint16)).reshape(64, 64)


def read(tmp_path, pixels, **elements):
    return read_grey(write_dicom(tmp_path / "film.dcm", pixels, **elements))


def table(entries, first=0, bits=16):
    item = pydicom.Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item.LUTData = [int(entry) for entry in entries]
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return [item]


def test_eight_bits_stay_as_they_are(tmp_path):
    grey = read(tmp_path, RAMP)
    assert grey.dtype == np.uint8
    assert np.array_equal(grey, RAMP)


def test_monochrome1_is_inverted(tmp_path):
    grey = read(tmp_path, RAMP, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(grey, 255 - RAMP)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_all_that_can_be_stored_fills_sixteen_bits(tmp_path, bits):
    pixels = np.array([[0, 1, 2**bits - 1, 2 ** (bits - 1)]], np.uint16)
    grey = read(tmp_path, pixels, BitsStored=bits)
    assert grey.dtype == np.uint16
    scale = 65535 / (2**bits - 1)
    assert grey.tolist() == [[0, round(scale), 65535, round(2 ** (bits - 1) * scale)]]


def test_signed_pixels(tmp_path):
    pixels = np.array([[-2048, -1, 0, 2047]], np.int16)
    grey = read(tmp_path, pixels, BitsStored=12)
    assert grey.tolist() == [[0, 32759, 32776, 65535]]


def test_bits_above_the_stored_ones_do_not_count(tmp_path):
    unsigned = read(tmp_path, DEEP | 0xA000, BitsStored=12)
    assert np.array_equal(unsigned, read(tmp_path, DEEP, BitsStored=12))
    signed = np.array([[-3, 5]], np.int16)
    marked = np.array([[-3 & 0x0FFF, 5 | 0x7000]], np.int16)
    expected = read(tmp_path, signed, BitsStored=12)
    assert np.array_equal(read(tmp_path, marked, BitsStored=12), expected)


def test_rescale_with_a_falling_slope_turns_the_film_over(tmp_path):
    plain = read(tmp_path, DEEP, BitsStored=12)
    turned = read(tmp_path, DEEP, BitsStored=12, RescaleSlope=-2, RescaleIntercept=100)
    assert np.array_equal(turned, 65535 - plain)


def test_a_window_is_the_first_and_exact(tmp_path):
    """PS3.3, C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) of the range."""
    grey = read(tmp_path, DEEP, BitsStored=12, WindowCenter=[1000, 9], WindowWidth=[501, 9]).ravel()
    share = np.clip((np.arange(4096) - 999.5) / 500 + 0.5, 0, 1)
    assert np.abs(grey / 65535 - share).max() < 1e-4
    assert (grey == 0).sum() == 750
    assert (grey == 65535).sum() == 4096 - 1250


def test_a_window_after_a_falling_rescale(tmp_path):
    elements = {"BitsStored": 12, "RescaleSlope": -1, "RescaleIntercept": 4095}
    grey = read(tmp_path, DEEP, WindowCenter=2048, WindowWidth=4096, **elements)
    assert np.abs(grey.astype(int) - read(tmp_path, DEEP, **elements).astype(int)).max() <= 16


def test_a_sigmoid_window(tmp_path):
    grey = read(
        tmp_path, DEEP, BitsStored=12, WindowCenter=2000, WindowWidth=800, VOILUTFunction="SIGMOID"
    ).ravel()
    expected = 1 / (1 + np.exp(-4 * (np.arange(4096) - 2000) / 800))
    assert np.abs(grey / 65535 - expected).max() < 1e-4


@pytest.mark.parametrize("width", [0, -5, 0.5])
def test_a_window_without_width_is_none(tmp_path, width):
    grey = read(tmp_path, DEEP, BitsStored=12, WindowCenter=40, WindowWidth=width)
    assert np.array_equal(grey, read(tmp_path, DEEP, BitsStored=12))


def test_tables(tmp_path):
    curve = np.rint(65535 * np.linspace(0, 1, 4096) ** 2)
    by_voi = read(tmp_path, DEEP, BitsStored=12, VOILUTSequence=table(curve), WindowWidth=5,
                  WindowCenter=3)  # fmt: skip
    assert np.array_equal(by_voi.ravel(), curve)
    by_modality = read(tmp_path, DEEP, BitsStored=12, ModalityLUTSequence=table(curve))
    assert np.array_equal(by_modality.ravel(), curve)
    late = read(tmp_path, DEEP, BitsStored=12, VOILUTSequence=table(curve[:100], first=1000))
    assert late.ravel()[[0, 1000, 1050]].tolist() == [0, curve[0], curve[50]]
    assert (late.ravel()[1100:] == curve[99]).all()


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_bytes_may_be_long(tmp_path, packed):
    """pydicom 3.0 keeps the place in a table in the type of its entries: 4096 places in 8 bits."""
    entries = np.arange(4096) >> 4
    voi = table(entries, bits=8)
    if packed:
        voi[0].add_new("LUTData", "OW", entries.astype(np.uint8).tobytes())
    grey = read(tmp_path, DEEP, BitsStored=12, VOILUTSequence=voi)
    assert np.array_equal(grey.ravel(), np.rint(entries / 255 * 65535))


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black(tmp_path, kind):
    pixels = DEEP.copy()
    pixels[0, :5] = 7
    elements = {"BitsStored": 12, "PhotometricInterpretation": kind}
    plain = read(tmp_path, pixels, **elements)
    one = read(tmp_path, pixels, PixelPaddingValue=7, **elements)
    assert (one[pixels == 7] == 0).all()
    assert np.array_equal(one[pixels != 7], plain[pixels != 7])
    span = read(tmp_path, pixels, PixelPaddingValue=4095, PixelPaddingRangeLimit=4000, **elements)
    assert (span[pixels >= 4000] == 0).all()
    assert np.array_equal(span[pixels < 4000], plain[pixels < 4000])


def test_colour_becomes_grey(tmp_path):
    colour = np.random.default_rng(1).integers(0, 256, (6, 10, 3)).astype(np.uint8)
    expected = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    assert np.array_equal(read(tmp_path, colour), expected)


def test_a_palette_becomes_grey(tmp_path):
    ramp = np.arange(256, dtype=np.uint16) * 257
    colours = {"Red": ramp, "Green": ramp[::-1], "Blue": np.zeros(256, np.uint16)}
    elements = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, entries in colours.items():
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        elements[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    grey = read(tmp_path, RAMP, **elements).astype(float) / 65535
    expected = 0.299 * RAMP / 255 + 0.587 * (255.0 - RAMP) / 255
    assert np.abs(grey - expected).max() < 1e-3


def compressed(path, syntax, tmp_path):
    gdcm = pytest.importorskip("gdcm")
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(tmp_path / "packed.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return tmp_path / "packed.dcm"


@pytest.mark.parametrize(
    "syntax", ["JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless", "RLELossless"]
)
@pytest.mark.parametrize("pixels", [DEEP, RAMP], ids=["12 bits", "8 bits"])
def test_compressed_pixels(tmp_path, syntax, pixels):
    bits = 12 if pixels.dtype == np.uint16 else 8
    plain = write_dicom(tmp_path / "film.dcm", pixels, BitsStored=bits)
    packed = compressed(plain, syntax, tmp_path)
    assert pydicom.dcmread(packed).file_meta.TransferSyntaxUID.is_compressed
    assert np.array_equal(read_grey(packed), read_grey(plain))
    assert find_fault(packed.read_bytes()) is None
    cut = packed.read_bytes()[: packed.stat().st_size * 3 // 4]
    packed.write_bytes(cut)
    with pytest.raises(UnreadableImageError, match=r"packed.dcm: .*(decoded|damaged|cut off)"):
        read_grey(packed)


def test_no_decoder(tmp_path, monkeypatch):
    path = write_dicom(tmp_path / "film.dcm", DEEP, BitsStored=12)
    film = pydicom.dcmread(path)
    film.compress("1.2.840.10008.1.2.5", encoding_plugin="pydicom")
    film.save_as(path)
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "is_available", property(lambda _: False))
    with pytest.raises(UnreadableImageError) as caught:
        read_grey(path)
    assert str(caught.value) == (
        f"{path}: its pixels are compressed (RLE Lossless) and no decoder for that is installed: "
        "pip install 'handbone[dicom]', or export it uncompressed."
    )


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"NumberOfFrames": 3}, "it holds 3 frames; export the one frame that is the radiograph."),
        (
            {"PixelData": None},
            "it has no pixels (it is cut off, or only a header); copy the file again.",
        ),
        (
            {"Rows": None},
            "it has no pixels (it is cut off, or only a header); copy the file again.",
        ),
        (
            {"Rows": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.22"},
            "it holds no image (it is a report or an index).",
        ),
        ({"Rows": 9}, "the DICOM file is cut off (pixels are missing); copy the file again."),
        ({"BitsAllocated": 32, "BitsStored": 32}, "its pixels have more than 16 bits; expected"),
        ({"PhotometricInterpretation": "CMYK"}, "its pixels cannot be decoded"),
    ],
)
def test_what_is_no_whole_radiograph(tmp_path, elements, words):
    path = write_dicom(tmp_path / "film.dcm", RAMP, **elements)
    with pytest.raises(UnreadableImageError) as caught:
        read_grey(path)
    assert str(caught.value).startswith(f"{path}: {words}")


@pytest.mark.parametrize("length", [140, 200, 400, 900, -100, -1])
def test_a_file_that_is_cut_off(tmp_path, length):
    path = write_dicom(tmp_path / "film.dcm", DEEP)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UnreadableImageError, match=r"film\.dcm: ") as caught:
        read_grey(path)
    assert "\n" not in str(caught.value)
    fault = find_dicom_fault(path.read_bytes())
    assert f"{path}: {fault}." == str(caught.value)


def test_random_damage_is_a_sentence_or_an_image(tmp_path):
    """Any byte of the header may be wrong."""
    content = write_dicom(tmp_path / "film.dcm", RAMP, WindowCenter=9, WindowWidth=8).read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(100):
        wrong = bytearray(content)
        for place in rng.integers(132, len(content), 3):
            wrong[place] = rng.integers(256)
        (tmp_path / "film.dcm").write_bytes(wrong)
        with contextlib.suppress(UnreadableImageError), warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_grey(tmp_path / "film.dcm").ndim == 2


def test_without_pydicom(tmp_path, monkeypatch):
    path = write_dicom(tmp_path / "film.dcm", RAMP)
    known = builtins.__import__
    monkeypatch.setattr("importlib.import_module", lambda name: known(f"no_{name}"))
    with pytest.raises(HandboneError) as caught:
        read_grey(path)
    assert str(caught.value) == (
        "reading DICOM files needs pydicom: pip install 'handbone[dicom]'."
    )


def test_nothing_is_warned_of(tmp_path):
    path = write_dicom(tmp_path / "film.dcm", RAMP)
    path.write_bytes(path.read_bytes().replace(b"MONOCHROME2 ", b"MONOCHROME2?"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_grey(write_dicom(tmp_path / "film.dcm", RAMP)).shape == RAMP.shape
