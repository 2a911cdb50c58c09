//! The admin gossip console.
