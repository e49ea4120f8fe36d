//! What must outlive a request, and is not the browser's to keep.

mod memory;

pub use memory::Memory;
