//! What decoders say when bytes are not what the writer writes. They do not know the file; who read the bytes adds that.

/// What does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage(pub(super) &'static str);

pub(super) type Checked<T> = Result<T, Damage>;
