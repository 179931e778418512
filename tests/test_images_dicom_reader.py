"""DICOM: files of pydicom's own tests, files made here, and a level of a whole slide."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from autosam.errors import InputError
from autosam.images import find_sources, read_image, read_pixel_size
from autosam.images.read import read_pixels
from autosam.images.readers import Selection

RNG = np.random.default_rng(7)
REAL = Path(pydicom.__file__).parent / "data" / "test_files"
"""Files of scanners that come with pydicom."""


def write(
    path: Path, pixels: np.ndarray, meaning: str = "MONOCHROME2", bits: int | None = None, **more: Any
) -> Path:
    """Write frames (N, H, W) or (N, H, W, 3)."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7.4"
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    header.NumberOfFrames, header.Rows, header.Columns = pixels.shape[:3]
    header.SamplesPerPixel = pixels.shape[3] if pixels.ndim == 4 else 1
    if pixels.ndim == 4:
        header.PlanarConfiguration = 0
    header.PhotometricInterpretation = meaning
    header.BitsAllocated = pixels.dtype.itemsize * 8
    header.BitsStored = bits or header.BitsAllocated
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in more.items():
        setattr(header, name, value)
    data = pixels.tobytes()
    header.PixelData = data + b"\0" * (len(data) % 2)
    header.save_as(path, enforce_file_format=True)
    return path


def test_frames_are_slices(tmp_path: Path) -> None:
    frames = RNG.integers(0, 4000, (3, 12, 17), dtype=np.uint16)
    path = write(tmp_path / "a.dcm", frames, PixelSpacing=[0.0005, 0.0005])
    sources = find_sources([path])
    assert [source.name for source in sources] == ["a_p0", "a_p1", "a_p2"]
    for number, source in enumerate(sources):
        np.testing.assert_array_equal(read_image(source), frames[number])
        assert read_pixel_size(source) == pytest.approx(500)
    (last,) = find_sources([path], Selection(z=2))
    np.testing.assert_array_equal(read_image(last), frames[2])


def test_white_is_zero_is_inverted_within_the_stored_bits(tmp_path: Path) -> None:
    stored = np.array([[[0, 1, 4095]]], dtype=np.uint16)
    found = read_image(write(tmp_path / "a.dcm", stored, "MONOCHROME1", bits=12))
    assert found.tolist() == [[4095, 4094, 0]]
    signed = np.array([[[-2048, 0, 2047]]], dtype=np.int16)
    assert read_image(write(tmp_path / "b.dcm", signed, "MONOCHROME1", bits=12)).tolist() == [[2047, -1, -2048]]
    assert read_image(write(tmp_path / "c.dcm", signed, "MONOCHROME2", bits=12)).tolist() == [[-2048, 0, 2047]]


def test_no_window_and_no_rescaling_is_applied(tmp_path: Path) -> None:
    stored = np.array([[[0, 7, 4000]]], dtype=np.uint16)
    rescaled = {"RescaleSlope": "2", "RescaleIntercept": "-1024", "WindowCenter": "40", "WindowWidth": "80"}
    assert read_image(write(tmp_path / "a.dcm", stored, **rescaled)).tolist() == [[0, 7, 4000]]


def test_colors_and_palettes(tmp_path: Path) -> None:
    picture = RNG.integers(0, 255, (2, 12, 17, 3), dtype=np.uint8)
    sources = find_sources([write(tmp_path / "a.dcm", picture, "RGB")])
    np.testing.assert_array_equal(read_pixels(sources[1]), picture[1])
    lookup = {}
    for name, values in (("Red", [0, 65535]), ("Green", [0, 256]), ("Blue", [512, 0])):
        lookup[f"{name}PaletteColorLookupTableDescriptor"] = [2, 0, 16]
        lookup[f"{name}PaletteColorLookupTableData"] = np.array(values, dtype="<u2").tobytes()
    indices = np.array([[[0, 1]]], dtype=np.uint8)
    found = read_image(write(tmp_path / "b.dcm", indices, "PALETTE COLOR", **lookup))
    assert found.tolist() == [[[0, 0, 2], [255, 1, 0]]]


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_jpeg_ls_lossless",
        "MR_small_RLE",
        "MR_small_jp2klossless",
        "MR_small_bigendian",
        "MR_small_implicit",
    ],
)
def test_one_image_in_all_compressions(name: str) -> None:
    plain = read_image(REAL / "MR_small.dcm")
    assert plain.dtype == np.int16
    assert (plain.shape, int(plain.min()), int(plain.max())) == ((64, 64), 127, 2145)
    np.testing.assert_array_equal(read_image(REAL / f"{name}.dcm"), plain)


@pytest.mark.parametrize(
    ("name", "shape", "images", "nm"),
    [
        ("CT_small", (128, 128), 1, 661_468),
        ("JPGExtended", (1024, 256), 1, 2_260_000),
        ("examples_palette", (350, 800, 3), 1, None),
        ("examples_ybr_color", (240, 320, 3), 30, None),
        ("SC_rgb_dcmtk_+eb+cy+s4", (100, 100, 3), 1, 1_000_000),
    ],
)
def test_files_of_scanners(name: str, shape: tuple[int, ...], images: int, nm: float | None) -> None:
    sources = find_sources([REAL / f"{name}.dcm"])
    assert len(sources) == images
    assert read_image(sources[-1]).shape == shape
    assert read_pixel_size(sources[0]) == (None if nm is None else pytest.approx(nm))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MR_truncated", "cannot be read: .*damaged"),
        ("SC_rgb_jls_lossy_line", "its compression, JPEG-LS Lossy .*, is not supported"),
        ("test-SR", r"it holds no image \(modality SR\)"),
        ("rtstruct", "cannot be read: .*damaged"),
        ("no_meta", "cannot be read: .*DICM"),
    ],
)
def test_what_is_refused_is_one_line(name: str, words: str) -> None:
    with pytest.raises(InputError, match=rf"{name}\.dcm:? {words}"):
        read_image(REAL / f"{name}.dcm")


def write_slide(path: Path, picture: np.ndarray, *, tile: int, millimeters: float) -> Path:
    """Write a level of a slide: its tiles are frames, row by row."""
    rows, columns = picture.shape[:2]
    padded = np.pad(picture, ((0, -rows % tile), (0, -columns % tile), (0, 0)), constant_values=255)
    down, across = padded.shape[0] // tile, padded.shape[1] // tile
    frames = padded.reshape(down, tile, across, tile, 3).transpose(0, 2, 1, 3, 4).reshape(-1, tile, tile, 3)
    measures = Dataset()
    measures.PixelSpacing, measures.SliceThickness = [millimeters, millimeters], 0.001
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    light, white, origin, sample = Dataset(), Dataset(), Dataset(), Dataset()
    white.CodeValue, white.CodingSchemeDesignator, white.CodeMeaning = "371251000", "SCT", "White"
    light.CodeValue, light.CodingSchemeDesignator, light.CodeMeaning = "111744", "DCM", "Brightfield illumination"
    optical = Dataset()
    optical.OpticalPathIdentifier = "0"
    optical.IlluminationColorCodeSequence, optical.IlluminationTypeCodeSequence = [white], [light]
    origin.XOffsetInSlideCoordinateSystem = origin.YOffsetInSlideCoordinateSystem = 0.0
    sample.SpecimenIdentifier, sample.SpecimenUID = "1", generate_uid()
    return write(
        path,
        frames,
        "RGB",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6",
        Modality="SM",
        StudyInstanceUID=generate_uid(),
        SeriesInstanceUID=generate_uid(),
        FrameOfReferenceUID=generate_uid(),
        InstanceNumber=1,
        ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        TotalPixelMatrixRows=rows,
        TotalPixelMatrixColumns=columns,
        TotalPixelMatrixFocalPlanes=1,
        TotalPixelMatrixOriginSequence=[origin],
        ImageOrientationSlide=[0, -1, 0, -1, 0, 0],
        ImagedVolumeWidth=columns * millimeters,
        ImagedVolumeHeight=rows * millimeters,
        ImagedVolumeDepth=0.001,
        DimensionOrganizationType="TILED_FULL",
        NumberOfOpticalPaths=1,
        OpticalPathSequence=[optical],
        SpecimenDescriptionSequence=[sample],
        ContainerIdentifier="1",
        LossyImageCompression="00",
        FocusMethod="AUTO",
        ExtendedDepthOfField="NO",
        SpecimenLabelInImage="NO",
        BurnedInAnnotation="NO",
        VolumetricProperties="VOLUME",
        SharedFunctionalGroupsSequence=[shared],
    )


def test_the_tiles_of_a_slide_are_put_together(tmp_path: Path) -> None:
    picture = RNG.integers(0, 255, (100, 150, 3), dtype=np.uint8)
    path = write_slide(tmp_path / "a.dcm", picture, tile=64, millimeters=0.0005)
    (source,) = find_sources([path])
    assert source.name == "a"
    np.testing.assert_array_equal(read_pixels(source), picture)
    assert read_pixel_size(source) == pytest.approx(500)


def test_a_damaged_slide_is_one_line(tmp_path: Path) -> None:
    picture = np.zeros((100, 150, 3), dtype=np.uint8)
    path = write_slide(tmp_path / "a.dcm", picture, tile=64, millimeters=0.0005)
    whole = path.read_bytes()
    path.write_bytes(whole[:-70_000])
    with pytest.raises(InputError, match=r"a\.dcm cannot be read: .*damaged"):
        read_image(path)
    path.write_bytes(whole.replace(b"TILED_FULL", b"TILED_FULX"))
    with pytest.raises(InputError, match=r"a\.dcm cannot be read: .*damaged"):
        read_image(path)
