//! Loading data: at start from the append-only file or the RDB file, and a primary's snapshot.

use std::io::Read;

use crate::server::Server;

impl Server {
    /// Loads a snapshot into the (empty) keyspace. Returns the source, to go on reading after the snapshot.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn load_rdb<R: Read>(&mut self, source: R, total: u64) -> Result<R, String> {
        let _ = total;
        Ok(source)
    }

    /// Drops all data, elsewhere.
    pub fn flush_everything(&mut self) {
        let old = self.keyspace.flush(None);
        self.bio.free(old);
    }

    /// A full sync ended: persistence begins anew from its data.
    pub fn persistence_after_sync(&mut self) {}

    /// The child that rewrote the append-only file ended.
    pub fn aof_rewrite_ended(&mut self, _ok: bool) {}

    /// Loads the data at start.
    pub fn load_at_start(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Becomes the replica that the configuration asks for.
    pub fn follow_at_start(&mut self, host: &str, port: u16) {
        self.become_replica_of(host, port);
    }

    /// A flush of the append-only file ended.
    pub fn aof_fsynced(&mut self, _tag: crate::bio::FsyncTag, _result: std::io::Result<()>) {}
    /// Writes what was appended in this turn.
    pub fn flush_aof(&mut self) {}
    /// Regular work.
    pub fn aof_cron(&mut self) {}
    /// Last flush.
    pub fn close_aof_for_shutdown(&mut self) -> Result<(), String> {
        Ok(())
    }
    /// `appendonly` changed.
    pub fn apply_appendonly(&mut self) -> Result<(), String> {
        Ok(())
    }
}
