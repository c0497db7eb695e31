//! The other end: clients of a running daemon, for `synth --server` and `bench`.
//!
//! | file | gives |
//! | --- | --- |
//! | `connection` | a connection, and the calls that ask one thing |
//! | `synthesize` | whole audio in, its frames out |
//! | `converse` | live audio in, live frames out |
//! | `error` | why a daemon did not answer as asked |

mod connection;
mod converse;
mod error;
mod synthesize;

pub use connection::{Client, ClientOptions, RemoteAvatar, RemoteStats};
pub use converse::{ConversationOptions, Greeting, Heard, Listener, RemoteFrame, Say, Speaker, Turn};
pub use error::ClientError;
pub use synthesize::RemoteFrames;
