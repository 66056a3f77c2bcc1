//! What answers and refusals show.
