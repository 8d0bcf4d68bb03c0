//! How clients ask again for writes of which they do not know what became, by the name that each write has. Asking is done
//! by `client`.

/// How often, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How often a client asks again at most.
    pub most: u8,
    /// Whether, when a cut heals, all clients that wait for an answer to a write ask again at once.
    pub storms: bool,
}
