//! Owns memory that is handed out piece by piece and given back all at once. It knows nothing of what lies in it.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Chunks begin, and end, at a multiple of this: a cache line.
const LINE: usize = 64;
/// The first chunk; each further one is twice as large, up to the largest, so that a small memtable stays small.
const SMALLEST_CHUNK: usize = 4 << 10;
const LARGEST_CHUNK: usize = 1 << 20;

/// A bump allocator.
pub(super) struct Arena {
    /// What the system gave, to be given back when the arena goes.
    chunks: Vec<(NonNull<u8>, Layout)>,
    /// The rest of the chunk that pieces are cut from: `left` bytes from `free`.
    free: NonNull<u8>,
    left: usize,
    /// How large the next chunk will be.
    next_chunk: usize,
    /// The sum of all chunks.
    bytes: usize,
}

// SAFETY: the chunks belong to the arena alone; it never looks into them, and what was cut from them says itself
// whether it may be shared.
#[expect(unsafe_code, reason = "owns raw memory")]
unsafe impl Send for Arena {}

impl Arena {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), free: NonNull::dangling(), left: 0, next_chunk: SMALLEST_CHUNK, bytes: 0 }
    }

    /// What it holds of the system's memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.chunks.capacity() * size_of::<(NonNull<u8>, Layout)>()
    }

    /// An uninitialised piece with this layout, aligned to a cache line at most. It overlaps no other and is valid for
    /// reads and writes as long as the arena lives, wherever that is moved.
    pub(super) fn allocate(&mut self, layout: Layout) -> NonNull<u8> {
        let (bytes, align) = (layout.size(), layout.align());
        assert!(align <= LINE, "a piece is aligned to a cache line at most");
        // Chunks end at a multiple of every alignment, so what is left tells how far the start is off.
        let skip = self.left % align;
        if bytes + skip > self.left {
            // A large piece has a chunk of its own, so that the rest of the current one is not lost for it.
            if bytes > LARGEST_CHUNK / 4 {
                return self.chunk(bytes);
            }
            while self.next_chunk < bytes {
                self.next_chunk *= 2;
            }
            self.left = self.next_chunk;
            self.free = self.chunk(self.left);
            self.next_chunk = (self.next_chunk * 2).min(LARGEST_CHUNK);
            return self.allocate(layout);
        }
        // SAFETY: `skip + bytes <= left`, so both addresses lie in the chunk or just behind it.
        #[expect(unsafe_code, reason = "cuts a piece off the chunk")]
        unsafe {
            let piece = self.free.add(skip);
            self.free = piece.add(bytes);
            self.left -= skip + bytes;
            piece
        }
    }

    fn chunk(&mut self, bytes: usize) -> NonNull<u8> {
        assert!(bytes > 0, "a chunk has room for something");
        let layout = Layout::from_size_align(bytes, LINE).expect("a chunk is smaller than the address space");
        // SAFETY: the layout's size is not zero.
        #[expect(unsafe_code, reason = "uninitialised memory: touching it first would cost as much as an insert")]
        let chunk = unsafe { alloc(layout) };
        let chunk = NonNull::new(chunk).unwrap_or_else(|| handle_alloc_error(layout));
        self.chunks.push((chunk, layout));
        self.bytes += bytes;
        chunk
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for (chunk, layout) in &self.chunks {
            // SAFETY: `chunk` got it from `alloc` with this very layout, and it is given back once.
            #[expect(unsafe_code, reason = "gives back what `chunk` took")]
            unsafe {
                dealloc(chunk.as_ptr(), *layout);
            }
        }
    }
}
