//! The wire formats: bytes in, meaning out.
//!
//! Nothing here owns a clock, a network, a database or randomness. Bodies are never re-serialised: what is not
//! understood passes byte by byte, and what must change is patched in place. Start with [`envelope::Envelope`] (what a
//! client asks), then [`sse::Scanner`] and [`openai::ChunkReader`] (what an upstream answers).

mod conversation;
pub mod envelope;
pub mod error_body;
pub mod estimate;
pub mod form;
pub mod job;
mod json;
pub mod multipart;
pub mod openai;
pub mod openclaw;
pub mod shape;
pub mod sse;
