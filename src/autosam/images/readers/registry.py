"""Which reader serves which suffix: every list of suffixes comes from here."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from autosam.errors import InputError
from autosam.images.readers.stored import Reader
from autosam.images.urls import url_of


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes
    ----------
    name : str
        As people call it.
    suffixes : tuple of str
        In lower case.
    reader : str
        ``module:class``, imported when the first file is read.
    datasets : bool
        ``FILE:/DATASET`` names one of several arrays in a file.
    folder : bool
        A file of this format is a folder.
    marks : tuple of str
        A folder that holds one of these files is of this format, whatever its name.
    packages : tuple of str
        Modules that must be installed, by ``pip install 'autosam[formats]'``.
    """

    name: str
    suffixes: tuple[str, ...]
    reader: str
    datasets: bool = False
    folder: bool = False
    marks: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


TIFF = Format("TIFF", (".tif", ".tiff"), "autosam.images.readers.tiff_reader:TiffReader")
PICTURE = Format(
    "picture", (".png", ".jpg", ".jpeg", ".bmp"), "autosam.images.readers.picture_reader:PictureReader"
)
HDF5 = Format("HDF5", (".h5", ".hdf5", ".hdf"), "autosam.images.readers.hdf5_reader:Hdf5Reader", datasets=True)

ZARR = Format(
    "Zarr",
    (".zarr",),
    "autosam.images.readers.zarr_reader:ZarrReader",
    datasets=True,
    folder=True,
    marks=("zarr.json", ".zarray", ".zgroup"),
)
MRC = Format(
    "MRC", (".mrc", ".mrcs", ".rec", ".st", ".ali", ".map"), "autosam.images.readers.mrc_reader:MrcReader"
)
CZI = Format("CZI", (".czi",), "autosam.images.readers.czi_reader:CziReader", packages=("czifile",))
ND2 = Format("ND2", (".nd2",), "autosam.images.readers.nd2_reader:Nd2Reader", packages=("nd2",))
LIF = Format("LIF", (".lif",), "autosam.images.readers.lif_reader:LifReader", packages=("liffile",))
SLIDE = Format(
    "slide",
    (".svs", ".ndpi", ".scn", ".bif"),
    "autosam.images.readers.slide_reader:SlideReader",
    packages=("tiffslide",),
)
DICOM = Format(
    "DICOM",
    (".dcm", ".dicom"),
    "autosam.images.readers.dicom_reader:DicomReader",
    packages=("pydicom", "wsidicom"),
)

FORMATS = (TIFF, PICTURE, HDF5, ZARR, MRC, CZI, ND2, LIF, SLIDE, DICOM)
"""In the order in which messages list their suffixes."""


def suffixes(*, folder: bool | None = None, datasets: bool | None = None) -> tuple[str, ...]:
    """List the suffixes of all formats, or of those that are folders, or that hold datasets, or do not.

    Examples
    --------
    >>> suffixes(datasets=True)
    ('.h5', '.hdf5', '.hdf', '.zarr')
    """
    return tuple(
        suffix
        for form in FORMATS
        if folder in (None, form.folder) and datasets in (None, form.datasets)
        for suffix in form.suffixes
    )


def format_of(path: Path) -> Format | None:
    """Find the format of a file, None for an unknown one.

    It is told by the suffix, in upper or lower case, or by what marks a folder. By URL only Zarr is read.
    """
    suffix = path.suffix.lower()
    found = next((form for form in FORMATS if suffix in form.suffixes), None)
    if url_of(path) is not None:
        return ZARR if found is None or found is ZARR else None
    if found is not None:
        return found
    return next((form for form in FORMATS if any((path / mark).is_file() for mark in form.marks)), None)


def reader_of(path: Path) -> Reader:
    """Give the reader of a file, by its suffix.

    Raises
    ------
    InputError
        If the suffix is unknown, or a package is not installed.
    """
    form = format_of(path)
    if form is None and url_of(path) is not None:
        raise InputError(f"{url_of(path)}: only OME-Zarr and Zarr are read by URL; download the file.")
    if form is None:
        raise InputError(f"{path}: unknown suffix {path.suffix!r}; known: {' '.join(suffixes())}.")
    module, name = form.reader.split(":")
    try:
        found = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name not in form.packages:
            raise
        raise InputError(
            f"{path}: reading {form.name} needs the package {error.name}; pip install 'autosam[formats]'."
        ) from None
    return cast(Reader, found())
