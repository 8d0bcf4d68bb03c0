//! Owns how an entry lies in the arena: one piece of memory, complete before anybody else can reach it, and never changed.

use std::alloc::Layout;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::arena::Arena;
use crate::key::{self, TRAILER};

/// What stands in front of the bytes: user key, trailer, value.
#[repr(C)]
pub(super) struct Header {
    key_len: u32,
    value_len: u32,
}

/// An entry whose arena lives at least as long as `'a`.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    header: NonNull<Header>,
    arena: PhantomData<&'a Arena>,
}

// SAFETY: it points to memory that never changes.
#[expect(unsafe_code, reason = "a shared reference, in essence")]
unsafe impl Send for Record<'_> {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "a shared reference, in essence")]
unsafe impl Sync for Record<'_> {}

impl<'a> Record<'a> {
    /// Copies an entry into the arena.
    ///
    /// # Safety
    /// The arena must outlive what is returned, and everything read through it.
    #[expect(unsafe_code, reason = "the arena's owner cannot borrow it for its own lifetime")]
    pub(super) unsafe fn new(arena: &mut Arena, key: &[u8], trailer: u64, value: &[u8]) -> Self {
        let key_len = u32::try_from(key.len()).expect("a key is at most 64 KiB long");
        let value_len = u32::try_from(value.len()).expect("a value is at most 1 GiB long");
        let bytes = size_of::<Header>() + key.len() + TRAILER + value.len();
        let layout = Layout::from_size_align(bytes, align_of::<Header>()).expect("both are far from the largest size");
        let header = arena.allocate(layout).cast::<Header>();
        // SAFETY: the piece is ours alone, aligned for the header, and as long as what is written one behind the other:
        // header, key, trailer, value.
        unsafe {
            header.write(Header { key_len, value_len });
            let bytes = header.add(1).cast::<u8>().as_ptr();
            ptr::copy_nonoverlapping(key.as_ptr(), bytes, key.len());
            bytes.add(key.len()).cast::<[u8; TRAILER]>().write(trailer.to_le_bytes());
            ptr::copy_nonoverlapping(value.as_ptr(), bytes.add(key.len() + TRAILER), value.len());
        }
        Self { header, arena: PhantomData }
    }

    /// # Safety
    /// It must come from [`as_ptr`](Self::as_ptr) of a record whose arena outlives `'a`, and `new` must have happened
    /// before.
    #[expect(unsafe_code, reason = "records are reached through atomic pointers")]
    pub(super) unsafe fn from_ptr(header: *mut Header) -> Option<Self> {
        NonNull::new(header).map(|header| Self { header, arena: PhantomData })
    }

    pub(super) fn as_ptr(self) -> *mut Header {
        self.header.as_ptr()
    }

    /// The encoded internal key and the value.
    pub(super) fn parts(self) -> (&'a [u8], &'a [u8]) {
        // SAFETY: `new` made it, so behind the header lie as many initialised bytes as it says, and they never change;
        // the arena lives for `'a`.
        #[expect(unsafe_code, reason = "key and value lie behind their lengths")]
        unsafe {
            let Header { key_len, value_len } = self.header.read();
            let key_len = key_len as usize + TRAILER;
            let bytes = self.header.add(1).cast::<u8>().as_ptr();
            let key = std::slice::from_raw_parts(bytes, key_len);
            (key, std::slice::from_raw_parts(bytes.add(key_len), value_len as usize))
        }
    }

    /// User key and trailer.
    pub(super) fn key(self) -> (&'a [u8], u64) {
        key::split(self.parts().0)
    }
}
