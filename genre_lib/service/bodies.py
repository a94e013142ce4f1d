"""What a request brings, by its content type: JSON, or a form with files. Both are checked by a pydantic model.

FastAPI takes a body in one form or the other for a route, and overlooks fields of a form that it does not know; here a
route takes both, and a name that is misspelt is told.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from genre_lib.errors import UnsupportedMediaType

JSON = "application/json"
FORM = "multipart/form-data"

MOST_FIELDS = 20
MOST_FIELD_BYTES = 64 * 1024

Fields = TypeVar("Fields", bound=BaseModel)
Finding = dict[str, Any]
"""What is wrong with a request, as pydantic tells it."""


class RequestBody(BaseModel):
    """Base of what is asked: what is not known is refused."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


@dataclass(frozen=True)
class Body(Generic[Fields]):
    """A request's fields, and the files of its form."""

    fields: Fields
    files: list[UploadFile] = field(default_factory=list)


@dataclass(frozen=True)
class Files:
    """The field of a form that holds files."""

    name: str
    most: int = 1
    description: str = "A track in any format that FFmpeg knows: mp3, m4a, ogg, flac, wav, …"

    @property
    def schema(self) -> dict[str, Any]:
        """For the OpenAPI document."""
        one = {"type": "string", "format": "binary", "description": self.description}
        if self.most == 1:
            return one
        return {"type": "array", "items": one, "minItems": 1, "description": self.description}


@asynccontextmanager
async def read(request: Request, json: type[Fields], form: type[Fields], files: Files) -> AsyncIterator[Body[Fields]]:
    """The request's body; the files of a form are closed after the block.

    Raises:
        UnsupportedMediaType: it is neither JSON nor a multipart form.
        RequestValidationError: a field is missing, unknown or out of range.
        HTTPException: 400, the form cannot be read.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        yield Body(await read_json(request, json))
    elif kind == FORM:
        async with form_of(request, files) as content:
            yield checked(content, form, files)
    else:
        raise UnsupportedMediaType(
            f"This takes {JSON} or {FORM} as its Content-Type, and came as {kind[:60] or 'none'}; "
            "send `-F file=@song.mp3`, or JSON with `-H 'Content-Type: application/json'`."
        )


async def read_json(request: Request, model: type[Fields]) -> Fields:
    """The body as JSON; strictly, so that ``"3"`` is no number."""
    try:
        return model.model_validate_json(await request.body(), strict=True)
    except ClientDisconnect:
        raise went_away() from None
    except ValidationError as error:
        raise invalid([dict(finding) for finding in error.errors(include_url=False, include_context=False)]) from None


@asynccontextmanager
async def form_of(request: Request, files: Files) -> AsyncIterator[FormData]:
    try:
        content = await request.form(max_files=files.most, max_fields=MOST_FIELDS, max_part_size=MOST_FIELD_BYTES)
    except ClientDisconnect:
        raise went_away() from None
    except HTTPException as error:
        if "Too many files" in str(error.detail):
            raise invalid([too_many(files)]) from None
        raise
    try:
        yield content
    finally:
        await content.close()


def checked(content: FormData, model: type[Fields], files: Files) -> Body[Fields]:
    """The form's fields by the model, and its files. A field that is left empty counts as left out.

    Raises:
        RequestValidationError: all that is wrong with it.
    """
    parts = content.multi_items()
    texts = [(name, value) for name, value in parts if isinstance(value, str) and value]
    uploads = [value for name, value in parts if name == files.name and isinstance(value, UploadFile)]
    findings = [*misplaced(parts, files), *repeated(texts)]
    if not any(name == files.name for name, _ in parts):
        findings.append(finding("missing", files.name, "missing"))
    try:
        fields = model.model_validate({name: value for name, value in texts if name != files.name})
    except ValidationError as error:
        raise invalid([*findings, *(dict(one) for one in error.errors(include_url=False))]) from None
    if findings:
        raise invalid(findings)
    return Body(fields, uploads)


def misplaced(parts: list[tuple[str, Any]], files: Files) -> list[Finding]:
    """Texts where a file belongs, and files under another name."""
    found = []
    for name, value in parts:
        if name == files.name and isinstance(value, str):
            found.append(finding("no_file", name, "must be an uploaded file, and is a text"))
        elif name != files.name and not isinstance(value, str):
            found.append(finding("no_text", name, f"is a file, and files are taken as {files.name} alone"))
    return found


def repeated(texts: list[tuple[str, str]]) -> list[Finding]:
    counts = Counter(name for name, _ in texts)
    return [finding("repeated", name, f"came {count} times") for name, count in counts.items() if count > 1]


def too_many(files: Files) -> Finding:
    return finding("too_many", files.name, f"at most {files.most} may be sent at once")


def finding(kind: str, name: str, message: str) -> Finding:
    return {"type": kind, "loc": ("body", name), "msg": message, "input": None}


def invalid(findings: list[Finding]) -> RequestValidationError:
    return RequestValidationError(findings)


def went_away() -> HTTPException:
    """Nobody reads this, unless the upload was cut off for its size: then that is answered in its place."""
    return HTTPException(400, "The body ended before it was whole.")


def documented(json: type[BaseModel], form: type[BaseModel], files: Files, **examples: Any) -> dict[str, Any]:
    """The route's body for the OpenAPI document, both forms of it.

    Args:
        examples: of the JSON, by name.
    """
    told = form.model_json_schema()
    told["properties"] = {files.name: files.schema, **told.get("properties", {})}
    told["required"] = [files.name, *told.get("required", [])]
    shown = {name: {"summary": name.replace("_", " "), "value": value} for name, value in examples.items()}
    return {
        "requestBody": {
            "required": True,
            "content": {FORM: {"schema": told}, JSON: {"schema": json.model_json_schema(), "examples": shown}},
        }
    }
