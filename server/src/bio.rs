//! Background work that is not data: dropping large values, flushing files to disk, closing files.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};

use crate::keyspace::Garbage;
use crate::net::waker::Postbox;

/// Something to do.
enum Job {
    /// Drop this, which is so many objects.
    Free(Box<dyn Send>, u64),
    /// Flush this file to disk and say so.
    Fsync(File, FsyncTag),
}

/// What the one who asked for a flush needs to know of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsyncTag {
    /// The replication offset that the file holds then, in bytes.
    pub offset: u64,
    /// Which file: the number the asker gave it.
    pub file: u64,
}

/// What background threads tell the data thread.
pub enum Message {
    /// A flush ended.
    Fsynced(FsyncTag, std::io::Result<()>),
    /// The primary's name was looked up; the number tells which attempt it was.
    Resolved(u64, std::io::Result<std::net::SocketAddr>),
}

/// Handles to the background threads: one frees, one flushes, so that a slow disk does not hold memory.
pub struct Bio {
    free: Sender<Job>,
    fsync: Sender<Job>,
    /// Objects handed over to be freed.
    handed: u64,
    /// Objects freed.
    freed: Arc<AtomicU64>,
}

impl Bio {
    /// Starts the threads, on these [processors](crate::affinity).
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(postbox: &Postbox<Message>, processors: &[u8]) -> std::io::Result<Self> {
        let freed = Arc::new(AtomicU64::new(0));
        let worker = |name: &str| -> std::io::Result<Sender<Job>> {
            let (sender, jobs) = channel();
            let (postbox, freed, processors) = (postbox.clone(), freed.clone(), processors.to_owned());
            std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                crate::crash::guard_thread();
                crate::affinity::bind(&processors);
                for job in jobs {
                    match job {
                        Job::Free(value, objects) => {
                            drop(value);
                            freed.fetch_add(objects, Relaxed);
                        }
                        Job::Fsync(file, tag) => postbox.post(Message::Fsynced(tag, file.sync_data())),
                    }
                }
            })?;
            Ok(sender)
        };
        let (free, fsync) = (worker("bio_lazy_free")?, worker("bio_aof_fsync")?);
        Ok(Bio { free, fsync, handed: 0, freed })
    }

    /// Drops a value elsewhere.
    pub fn free(&self, value: impl Send + 'static) {
        // The thread ends only with the process.
        let _ = self.free.send(Job::Free(Box::new(value), 0));
    }

    /// Drops a value elsewhere that counts as one object.
    pub fn free_object(&mut self, value: impl Send + 'static) {
        self.handed += 1;
        let _ = self.free.send(Job::Free(Box::new(value), 1));
    }

    /// Drops what a keyspace has no more use for elsewhere.
    pub fn free_garbage(&mut self, garbage: Garbage) {
        let objects = garbage.objects() as u64;
        self.handed += objects;
        let _ = self.free.send(Job::Free(Box::new(garbage), objects));
    }

    /// Keys and values that wait to be freed.
    pub fn pending_objects(&self) -> u64 {
        self.handed - self.freed_objects()
    }

    /// Keys and values that were freed so far.
    pub fn freed_objects(&self) -> u64 {
        self.freed.load(Relaxed)
    }

    /// Flushes a file elsewhere; [`Message::Fsynced`] tells the end.
    pub fn fsync(&self, file: File, tag: FsyncTag) {
        let _ = self.fsync.send(Job::Fsync(file, tag));
    }
}
