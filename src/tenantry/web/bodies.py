"""What a request's body may hold, as Pydantic's types: texts and documents that both databases keep as they came."""

from typing import Annotated, Any

from pydantic import AfterValidator

from tenantry.models.payloads import plain_json


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # It would quote the text.
        raise ValueError("it is no text that a database can keep") from error
    if "\x00" in text:
        raise ValueError("it holds a NUL character")
    return text


def _document(value: Any) -> Any:
    return plain_json(value, what="A document in the body")


Text = Annotated[str, AfterValidator(_text)]
Document = Annotated[dict[str, Any], AfterValidator(_document)]
Items = Annotated[list[Any], AfterValidator(_document)]
