//! Properties that hold for any value, not only for the fixtures'.
