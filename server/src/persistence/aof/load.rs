//! Reading the append-only file at start.
//!
//! Commands are parsed by the parser of requests and executed by the dispatcher, as a client without a connection. A
//! transaction executes when its EXEC is read: half of one never does.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::manifest::{FileType, Manifest, Part};
use super::{State, directory, stem};
use crate::client::{Client, ClientFlags};
use crate::commands::dispatch::call;
use crate::commands::table;
use crate::persistence::load::Into as LoadInto;
use crate::persistence::rdb::format::Magic;
use crate::replication::backlog::ReplBuffer;
use crate::replication::{Position, ReplId};
use crate::resp::{Limits, QueryBuf};
use crate::server::Server;
use crate::{log_notice, log_warning};

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;

impl Server {
    /// Loads the append-only file; false when there is none.
    ///
    /// # Errors
    /// What is wrong, in which file, at which byte.
    pub fn load_aof(&mut self) -> Result<bool, String> {
        let (dir, stem) = (directory(&self.config), stem(&self.config));
        let Some(mut manifest) = Manifest::load(&dir, &stem)? else {
            let old = crate::persistence::snapshot::data_dir(&self.config).join(&stem);
            if !old.is_file() {
                return Ok(false);
            }
            return self.adopt_old_file(&old, &dir, &stem).map(|()| true);
        };
        let started = std::time::Instant::now();
        self.continue_upgrade(&manifest, &dir, &stem)?;
        let parts: Vec<Part> = manifest.live().cloned().collect();
        self.begin_loading(parts.iter().filter_map(|p| fs::metadata(dir.join(&p.name)).ok()).map(|m| m.len()).sum());
        let mut position = None;
        let mut size = 0;
        for (i, part) in parts.iter().enumerate() {
            let path = dir.join(&part.name);
            let last = i + 1 == parts.len();
            let loaded = self.load_aof_part(&path, last, &mut position);
            match loaded {
                Ok(bytes) => size += bytes,
                Err(why) => {
                    self.end_loading();
                    return Err(why);
                }
            }
        }
        self.end_loading();
        let base_size = manifest.base().and_then(|b| fs::metadata(dir.join(&b.name)).ok()).map_or(0, |m| m.len());
        // What an interrupted clean-up left.
        if !self.config.aof_disable_auto_gc {
            for path in manifest.forget_history(&dir) {
                let _ = fs::remove_file(path);
            }
        }
        let aof = &mut self.persistence.aof;
        aof.manifest = manifest;
        aof.size = size;
        aof.base_size = base_size.max(1);
        self.restore_position(position);
        log_notice!("DB loaded from append only file: {:.3} seconds", started.elapsed().as_secs_f64());
        Ok(true)
    }

    /// Takes up an upgrade that was interrupted between its two last steps: the manifest names the old file, which is still where
    /// it was.
    fn continue_upgrade(&mut self, manifest: &Manifest, dir: &Path, stem: &str) -> Result<(), String> {
        let only = matches!(manifest.parts.as_slice(), [p] if p.file_type == FileType::Base && p.name == stem);
        let old = crate::persistence::snapshot::data_dir(&self.config).join(stem);
        if !only || dir.join(stem).exists() || !old.is_file() {
            return Ok(());
        }
        fs::rename(&old, dir.join(stem))
            .map_err(|e| format!("Upgrading the old-style append-only file {}: {e}", old.display()))
    }

    /// A file of before the times of manifests becomes the base.
    fn adopt_old_file(&mut self, old: &Path, dir: &Path, stem: &str) -> Result<(), String> {
        let text = |e: std::io::Error| format!("Upgrading the old-style append-only file {}: {e}", old.display());
        fs::create_dir_all(dir).map_err(text)?;
        let name = stem.to_owned();
        let manifest = Manifest { parts: vec![Part { name: name.clone(), seq: 1, file_type: FileType::Base }] };
        // The file first: a manifest must not name what is not there. Should the end come in between, the next start
        // finds the old file gone and no manifest, so the link stays until the manifest is stored.
        let _ = fs::remove_file(dir.join(&name));
        fs::hard_link(old, dir.join(&name)).map_err(text)?;
        manifest.store(dir, stem).map_err(text)?;
        fs::remove_file(old).map_err(text)?;
        log_notice!(
            "Successfully migrated an old-style AOF configuration ({}) into the AOF directory ({}).",
            name,
            dir.display()
        );
        self.load_aof().map(|_| ())
    }

    /// After loading: begins to append.
    ///
    /// # Errors
    /// What failed.
    pub fn continue_aof(&mut self) -> Result<(), String> {
        self.create_backlog();
        let dir = directory(&self.config);
        let last = self.persistence.aof.manifest.live().last().cloned();
        match last {
            Some(part) if part.file_type == FileType::Incr => {
                let path = dir.join(&part.name);
                let file = fs::OpenOptions::new().append(true).open(&path);
                let file = file.map_err(|e| format!("Can't open the append-only file {}: {e}", path.display()))?;
                let offset = self.repl.offset();
                let aof = &mut self.persistence.aof;
                aof.use_file(file);
                aof.timestamps = self.config.aof_timestamp_enabled;
                aof.fsynced_offset = offset;
                aof.written_offset = offset;
                // A primary's stream selects its database anew; a replica's goes on in the one it left.
                aof.tail = None;
            }
            Some(_) => self.open_new_increment(true)?,
            None => {
                // A base that says what there is, so that the files are whole from their first moment on.
                fs::create_dir_all(&dir)
                    .map_err(|e| format!("Can't open or create append-only dir {}: {e}", dir.display()))?;
                let temp = dir.join("temp-base.aof");
                self.persistence.aof.rewrite_as_rdb = self.config.aof_use_rdb_preamble;
                self.write_base_file(&temp, None)?;
                self.install_base(&temp)?;
                // The base says where it ends.
                self.persistence.aof.tail = Some((self.repl.history.id, self.repl.history.offset));
                self.open_new_increment(true)?;
                log_notice!("Creating AOF base file and incr file on server start");
            }
        }
        self.persistence.aof.state = State::On;
        Ok(())
    }

    /// Loads one file; returns its length. `position` is what its end stands for.
    fn load_aof_part(&mut self, path: &Path, last: bool, position: &mut Option<Position>) -> Result<u64, String> {
        let name = path.display();
        let mut file = File::open(path)
            .map_err(|e| format!("Fatal error: can't open the append log file {name} for reading: {e}"))?;
        let len = file.metadata().map_or(0, |m| m.len());
        if len == 0 {
            return Ok(0);
        }
        let mut magic = [0u8; 6];
        let got = file.read(&mut magic).map_err(|e| format!("Reading {name}: {e}"))?;
        std::io::Seek::rewind(&mut file).map_err(|e| format!("Reading {name}: {e}"))?;
        let mut loader = Loader {
            input: QueryBuf::default(),
            at: 0,
            whole: 0,
            db: None,
            position: *position,
            held: Vec::new(),
            recent: None,
            recent_size: self.config.repl_backlog_size,
        };
        loader.begin_recent();
        if Magic::begins(&magic[..got]) {
            log_notice!("Reading RDB base file on AOF loading...");
            let summary = self.load_rdb(&mut file, len, LoadInto::Present).map_err(|e| {
                format!("Error reading the RDB preamble of the AOF file {name}, AOF loading aborted: {e}")
            })?;
            loader.position = self.loaded_position.take();
            loader.begin_recent();
            loader.at = summary.bytes;
            loader.whole = summary.bytes;
            loader.input.push(&summary.rest);
        }
        let outcome = self.load_commands(&mut file, &mut loader);
        // The file's bytes are the stream's: what they selected is what the stream has selected.
        *position = loader.position.map(|p| Position { stream_db: loader.db.or(p.stream_db), ..p });
        // A primary that was killed may have written more than it had sent: so the end of the file is the backlog.
        if last && self.repl.buffer.is_none() {
            self.repl.buffer = loader.recent.take().filter(|recent| position.is_some_and(|p| p.offset == recent.end()));
        }
        match outcome {
            Ok(()) if loader.whole == len => Ok(len),
            Ok(()) => self.cut_tail(path, len, loader.whole, last),
            Err(why) => Err(format!(
                "Bad file format reading the append only file {name} at byte {}: make a backup of your AOF file, then use ./valkey-check-aof --fix <filename.manifest>. ({why})",
                loader.whole
            )),
        }
    }

    /// The file ends within a command or a transaction.
    fn cut_tail(&mut self, path: &Path, len: u64, whole: u64, last: bool) -> Result<u64, String> {
        let name = path.display();
        if !last {
            return Err(format!(
                "Unexpected end of file reading the append only file {name} at byte {whole}. The file is not the last one: the data that follow would be applied to the wrong state."
            ));
        }
        if !self.config.aof_load_truncated {
            return Err(format!(
                "Unexpected end of file reading the append only file {name} at byte {whole}. You can: 1) Make a backup of your AOF file, then use ./valkey-check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and restart the server."
            ));
        }
        log_warning!("!!! Warning: short read while loading the AOF file {name}!!!");
        log_warning!("AOF {name} loaded anyway because aof-load-truncated is enabled");
        log_warning!("Truncating the AOF {name} at offset {whole} ({} bytes cut)", len - whole);
        let cut =
            fs::OpenOptions::new().write(true).open(path).and_then(|f| f.set_len(whole).and_then(|()| f.sync_all()));
        cut.map_err(|e| format!("Error truncating the AOF file {name}: {e}"))?;
        Ok(whole)
    }

    fn load_commands(&mut self, file: &mut File, loader: &mut Loader) -> Result<(), String> {
        let mut client = Client::new(0, None, self.now_ms());
        client.flags |= ClientFlags::AOF_LOADER;
        client.reply.muted = true;
        let limits = Limits { bulk: usize::MAX >> 1, authenticated: true };
        let mut piece = vec![0u8; PIECE];
        let mut next_events = loader.at;
        loop {
            match loader.input.parse(limits) {
                // What was understood before it comes first, so that the place is told where it is.
                Err(e) if loader.input.current().is_none() => return Err(e.0),
                Ok(0) => {
                    loader.at += loader.input.passed_over().len() as u64;
                    loader.hold_passed_over();
                    loader.input.drop_passed_over();
                    if client.transaction.is_none() {
                        loader.commit();
                    }
                    let n = file.read(&mut piece).map_err(|e| e.to_string())?;
                    if n == 0 {
                        return Ok(());
                    }
                    loader.input.push(&piece[..n]);
                    continue;
                }
                Ok(_) | Err(_) => {}
            }
            let Some(argv) = loader.input.current() else { continue };
            if argv.get(0).starts_with(b"#") {
                let text = argv.get(0).to_vec();
                loader.commit();
                loader.annotated(&text);
                loader.at += loader.input.advance() as u64;
                loader.whole = loader.at;
                continue;
            }
            let row = table::resolve(argv).map_err(|e| String::from_utf8_lossy(&e.error.0).into_owned())?;
            let name = row.command.name;
            self.persistence.aof.selected.note_loaded(name, argv, self.keyspace.count())?;
            if client.transaction.is_some() && !matches!(name, "exec" | "multi" | "discard") {
                let argv = argv.to_owned();
                client.transaction.get_or_insert_default().queue.push((row, argv));
            } else {
                call(self, &mut client, row, argv);
                loader.db = Some(client.db);
            }
            if client.is_closing() {
                return Err("a command closed the connection".to_owned());
            }
            loader.hold_current();
            loader.at += loader.input.advance() as u64;
            if client.transaction.is_none() {
                loader.commit();
            }
            if loader.at - next_events > self.config.loading_process_events_interval_bytes {
                next_events = loader.at;
                self.loading_progress(loader.at)?;
            }
        }
    }
}

/// Where the reading of a file is.
struct Loader {
    input: QueryBuf,
    /// Bytes executed.
    at: u64,
    /// The database that the commands have selected.
    db: Option<usize>,
    /// Bytes up to the end of the last whole command outside of a transaction.
    whole: u64,
    /// What `whole` stands for.
    position: Option<Position>,
    /// The stream's bytes from `whole` to `at`.
    held: Vec<u8>,
    /// The stream's bytes up to `whole`, as many as a backlog holds, without a gap.
    recent: Option<ReplBuffer>,
    recent_size: u64,
}

impl Loader {
    /// Everything up to here is complete.
    fn commit(&mut self) {
        if let Some(position) = &mut self.position {
            position.offset += self.at - self.whole;
        }
        self.whole = self.at;
        if let Some(recent) = &mut self.recent {
            recent.append(&self.held);
            recent.trim(None);
        }
        self.held.clear();
    }

    fn hold_current(&mut self) {
        if self.recent.is_none() {
            return;
        }
        self.held.extend_from_slice(self.input.current_wire());
    }

    fn hold_passed_over(&mut self) {
        if self.recent.is_none() {
            return;
        }
        self.held.extend_from_slice(self.input.passed_over());
    }

    /// The stream goes on at `position`, whatever came before it.
    fn begin_recent(&mut self) {
        self.recent = self.position.map(|p| ReplBuffer::new(p.offset, self.recent_size));
    }

    /// An annotation: a line that begins with `#`. It may say what the position is.
    fn annotated(&mut self, text: &[u8]) {
        let Some(rest) = text.strip_prefix(b"#REPL:") else { return };
        let colon = rest.iter().position(|c| *c == b':');
        let id_before = self.position.map(|p| p.id);
        self.position = colon.and_then(|c| {
            let id = <ReplId>::try_from(&rest[..c]).ok()?;
            // An offset is a positive number of 63 bits: the bytes that follow can be added to it.
            let offset: i64 = std::str::from_utf8(&rest[c + 1..]).ok()?.parse().ok()?;
            Some(Position { id, offset: u64::try_from(offset).ok()?, stream_db: None })
        });
        // What only replicas need is not in the file: it leaves gaps.
        let end = self.recent.as_ref().map(ReplBuffer::end);
        if end.is_none() || end != self.position.map(|p| p.offset) || id_before != self.position.map(|p| p.id) {
            self.begin_recent();
        }
    }
}
