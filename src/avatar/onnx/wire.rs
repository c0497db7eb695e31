//! The protobuf wire format: <https://protobuf.dev/programming-guides/encoding/>.

use super::error::OnnxError;

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub number: u32,
    pub value: Value<'a>,
    /// The whole field, tag included, as it stands in the file.
    pub raw: &'a [u8],
}

/// A field's payload, by wire type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64,
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

impl<'a> Field<'a> {
    /// The payload of a length-delimited field (message, text, bytes, packed numbers).
    ///
    /// # Errors
    /// The field has another wire type than the schema gives it.
    pub fn bytes(&self) -> Result<&'a [u8], OnnxError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(OnnxError::WireType { field: self.number }),
        }
    }

    /// The payload as text.
    pub fn text(&self) -> Result<&'a str, OnnxError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| OnnxError::NotUtf8 { field: self.number })
    }

    /// The payload of an integer field, two's complement.
    pub fn int(&self) -> Result<i64, OnnxError> {
        match self.value {
            Value::Varint(value) => Ok(value as i64),
            _ => Err(OnnxError::WireType { field: self.number }),
        }
    }

    /// Appends the integers of a repeated field, packed or not: writers differ, readers must take both.
    pub fn ints(&self, out: &mut Vec<i64>) -> Result<(), OnnxError> {
        match self.value {
            Value::Varint(value) => out.push(value as i64),
            Value::Bytes(mut packed) => {
                while !packed.is_empty() {
                    out.push(take_varint(&mut packed)? as i64);
                }
            }
            _ => return Err(OnnxError::WireType { field: self.number }),
        }
        Ok(())
    }
}

/// The fields of `message` in file order; stops after the first error.
pub(super) fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

/// See [`fields`].
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, OnnxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = take_field(&mut self.rest);
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// The messages in field `number` of `message`, in file order; stops after the first error, in whatever field.
pub(super) fn messages(message: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], OnnxError>> {
    fields(message).filter_map(move |field| match field {
        Ok(field) => (field.number == number).then(|| field.bytes()),
        Err(error) => Some(Err(error)),
    })
}

/// The last field `number` of `message`: where a writer repeats one, protobuf keeps the last.
pub(super) fn last_field(message: &[u8], number: u32) -> Result<Option<Field<'_>>, OnnxError> {
    let mut last = None;
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            last = Some(field);
        }
    }
    Ok(last)
}

/// The text in the last field `number` of `message`; empty where there is none, as protobuf has it.
pub(super) fn text_of(message: &[u8], number: u32) -> Result<&str, OnnxError> {
    last_field(message, number)?.map_or(Ok(""), |field| field.text())
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>, OnnxError> {
    let start = *rest;
    let tag = take_varint(rest)?;
    let number = u32::try_from(tag >> 3).ok().filter(|&number| number != 0 && number < 1 << 29);
    let number = number.ok_or(OnnxError::Tag { tag })?;
    let value = match tag & 7 {
        0 => Value::Varint(take_varint(rest)?),
        1 => {
            take(rest, 8)?;
            Value::Fixed64
        }
        2 => {
            let len = usize::try_from(take_varint(rest)?).map_err(|_| OnnxError::Truncated)?;
            Value::Bytes(take(rest, len)?)
        }
        5 => match take(rest, 4)? {
            &[a, b, c, d] => Value::Fixed32([a, b, c, d]),
            _ => return Err(OnnxError::Truncated),
        },
        // 3 and 4 are groups, which ONNX never uses; 6 and 7 do not exist.
        _ => return Err(OnnxError::Tag { tag }),
    };
    let raw = &start[..start.len() - rest.len()];
    Ok(Field { number, value, raw })
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], OnnxError> {
    let (taken, after) = rest.split_at_checked(len).ok_or(OnnxError::Truncated)?;
    *rest = after;
    Ok(taken)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, OnnxError> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(OnnxError::Truncated)?;
        *rest = after;
        // The tenth byte holds the topmost bit only; protobuf drops what is above it.
        value |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(OnnxError::Varint)
}

/// Appends `value` as a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends an integer field.
pub(super) fn put_int(out: &mut Vec<u8>, number: u32, value: i64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value as u64);
}

/// Appends a length-delimited field.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, payload: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_examples() {
        // "150" and "testing" from the protobuf encoding page, then a packed [3, 270, 86942].
        let message = b"\x08\x96\x01\x12\x07testing\x32\x06\x03\x8E\x02\x9E\xA7\x05";
        let fields: Vec<_> = fields(message).collect::<Result<_, _>>().unwrap();
        assert_eq!((fields[0].number, fields[0].int().unwrap()), (1, 150));
        assert_eq!((fields[1].number, fields[1].text().unwrap()), (2, "testing"));
        let mut ints = Vec::new();
        fields[2].ints(&mut ints).unwrap();
        assert_eq!(ints, [3, 270, 86942]);
        assert_eq!(fields.iter().flat_map(|field| field.raw).copied().collect::<Vec<_>>(), message);
    }

    #[test]
    fn varints_cover_64_bits_and_no_more() {
        for value in [0, 1, 127, 128, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(take_varint(&mut bytes.as_slice()).unwrap(), value);
        }
        assert!(matches!(take_varint(&mut [0x80; 11].as_slice()), Err(OnnxError::Varint)));
    }

    #[test]
    fn damage_is_an_error() {
        let error = |message: &[u8]| fields(message).find_map(Result::err);
        assert!(matches!(error(b"\x12\x07test"), Some(OnnxError::Truncated)));
        assert!(matches!(error(b"\x0D\x01"), Some(OnnxError::Truncated)));
        assert!(matches!(error(b"\x0B"), Some(OnnxError::Tag { tag: 11 })));
        assert!(matches!(error(b"\x00"), Some(OnnxError::Tag { tag: 0 })));
        assert!(matches!(error(b"\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), Some(OnnxError::Truncated)));
    }
}
