"""What a column's reader raises when some value cannot be used, and the one way to hold text."""

import pyarrow as pa


class Unfit(ValueError):
    """Some value of a column cannot be used; the message says why, after the value's name.

    Readers look at whole columns, so the error does not know which value it was:
    `faults.first_fault` finds that out.
    """


def plain_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text of any Arrow type (large, binary, dictionary) as `string`; other columns as they are.

    Raises:
        Unfit: bytes that are no UTF-8 text.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain_text(column.cast(kind.value_type))
    if any(is_kind(kind) for is_kind in _TEXTS):
        try:
            return column.cast(pa.string())
        except pa.ArrowInvalid as error:
            raise Unfit("is no UTF-8 text") from error
    return column


_TEXTS = (
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
)
