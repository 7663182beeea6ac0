//! The data that is measured.

use std::io;

use valkey_repl_e2e::resp::Client;

/// Commands sent in one write.
const BATCH: usize = 1000;

/// Text that does not compress, different for each `n`, always the same for one.
pub fn noise(n: usize, bytes: usize) -> Vec<u8> {
    let mut state = (n as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut text = Vec::with_capacity(bytes);
    while text.len() < bytes {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let word = state.wrapping_mul(0x2545_f491_4f6c_dd1d);
        text.extend(word.to_le_bytes().iter().map(|byte| b'!' + byte % 90));
    }
    text.truncate(bytes);
    text
}

/// Sends commands many at a time.
///
/// # Errors
/// The connection failed, or a command was refused.
pub fn send_all(client: &mut Client, commands: impl Iterator<Item = Vec<Vec<u8>>>) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut commands = commands.peekable();
    while let Some(command) = commands.next() {
        batch.push(command);
        if batch.len() == BATCH || commands.peek().is_none() {
            for reply in client.pipeline(&batch)? {
                if let Some(error) = reply.error() {
                    return Err(io::Error::other(error.to_owned()));
                }
            }
            batch.clear();
        }
    }
    Ok(())
}

/// Fills the data set with strings under keys of 16 bytes.
///
/// # Errors
/// As for [`send_all`].
pub fn fill(client: &mut Client, keys: usize, bytes: usize) -> io::Result<()> {
    let set = |n: usize| vec![b"SET".to_vec(), format!("key:{n:012}").into_bytes(), noise(n, bytes)];
    send_all(client, (0..keys).map(set))
}
