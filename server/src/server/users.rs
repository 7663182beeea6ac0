//! Connections and their users: logging in, asking for permission, and what becomes of connections when users change.

use std::rc::Rc;

use super::Server;
use crate::acl::log::{Context, Denial};
use crate::acl::{Call, DEFAULT, Denied, FileError, RuleError, SetError, User, is_name};
use crate::client::{Client, ClientFlags, pubsub};
use crate::commands::Row;
use crate::config::UserLine;
use crate::log_notice;
use crate::resp::Argv;

impl Server {
    /// Whether a client must log in before anything else.
    pub fn must_log_in(&self, client: &Client) -> bool {
        !client.authenticated && !self.acl.default_is_open()
    }

    /// Makes a client the default user's, as a new connection is.
    pub fn set_default_user(&self, client: &mut Client) {
        client.user = Some(Rc::clone(self.acl.default_user()));
        client.authenticated = self.acl.default_is_open();
    }

    /// Logs a client in; says whether that worked. A failure is counted and logged.
    pub fn log_in(&mut self, client: &mut Client, command: &[u8], user: &[u8], password: &[u8]) -> bool {
        if let Some(user) = self.acl.log_in(user, password) {
            client.user = Some(user);
            client.authenticated = true;
            return true;
        }
        self.stats.denied.logins += 1;
        let context = context_of(client);
        self.note_denial(client, "auth", context, command.to_vec(), user.to_vec());
        false
    }

    /// Whether a client may make a call. This is the one question that everything which executes commands for a client asks: the
    /// dispatcher, EXEC, waiting clients, scripts.
    ///
    /// # Errors
    /// What is denied; it has been counted and logged. [`denial_text`](Self::denial_text) has the words.
    #[inline]
    pub fn check_permission(
        &mut self,
        client: &Client,
        row: &'static Row,
        argv: Argv<'_>,
        context: Context,
    ) -> Result<(), Denied> {
        match &client.user {
            None => Ok(()),
            Some(user) if user.is_unlimited() => Ok(()),
            Some(user) => {
                // What is queued after a SELECT will be executed in the database that it selects.
                let db = client.transaction.as_ref().and_then(|t| t.db).unwrap_or(client.db);
                let call = Call { row, argv, db, databases: self.config.databases };
                let denied = match user.check(call) {
                    Ok(()) => return Ok(()),
                    Err(denied) => denied,
                };
                self.note_denied_call(client, call, denied, context);
                Err(denied)
            }
        }
    }

    /// A client showed a certificate that names no user.
    pub fn note_denied_certificate(&mut self, client: &Client, name: &str) {
        let object = b"TLS".to_vec();
        self.note_denial(client, "tls-cert", Context::Toplevel, object, name.as_bytes().to_vec());
    }

    fn note_denied_call(&mut self, client: &Client, call: Call<'_>, denied: Denied, context: Context) {
        let counters = &mut self.stats.denied;
        *match denied {
            Denied::Command => &mut counters.commands,
            Denied::Key(_) => &mut counters.keys,
            Denied::Channel(_) => &mut counters.channels,
            Denied::Database(_) => &mut counters.databases,
        } += 1;
        let object = denied.object(call.row, call.argv);
        self.note_denial(client, denied.reason(), context, object.to_vec(), client.user_name().to_vec());
    }

    fn note_denial(&mut self, client: &Client, reason: &'static str, context: Context, object: Vec<u8>, user: Vec<u8>) {
        let line = self.client_line(client, 0);
        let denial = Denial { reason, context, object, user, client: line };
        let (now, max_len) = (self.now_ms(), self.config.acllog_max_len);
        self.acl.log.add(denial, now, max_len);
    }

    /// What a client is told that was denied something, without an error code.
    pub fn denial_text(&self, client: &Client, row: &Row, denied: Denied) -> Vec<u8> {
        denied.text(client.user_name(), row, None)
    }

    /// Whether new users may use all channels.
    pub fn new_users_have_all_channels(&self) -> bool {
        self.config.acl_pubsub_default == crate::config::AclPubsubDefault::Allchannels
    }

    /// Changes a user by rules, or makes one; closes its connections that listen to what they no longer may.
    ///
    /// # Errors
    /// When a rule is wrong; nothing has changed.
    pub fn set_user(&mut self, caller: &mut Client, name: &[u8], rules: &[&[u8]]) -> Result<(), SetError> {
        let all_channels = self.new_users_have_all_channels();
        let known = self.acl.get(name).map(Rc::clone);
        let mut rights =
            known.as_ref().map_or_else(|| crate::acl::Rights::none(all_channels), |user| user.rights().clone());
        rights.apply_words(rules.iter().copied(), all_channels)?;
        if let Some(user) = known {
            self.change_rights(Some(caller), &user, rights);
        } else {
            self.acl.set(name, rights);
        }
        Ok(())
    }

    /// Gives a user other rights, and closes its connections that listen to what they no longer may.
    fn change_rights(&mut self, caller: Option<&mut Client>, user: &Rc<User>, rights: crate::acl::Rights) {
        let fewer_channels = rights.takes_channels_from(&user.rights());
        user.set_rights(rights);
        if fewer_channels && !self.pubsub.is_silent() {
            self.close_clients(caller, |client| has_user(client, user) && !may_listen(client, user));
        }
    }

    /// Removes a user and closes its connections; says whether there was one.
    pub fn remove_user(&mut self, caller: &mut Client, name: &[u8]) -> bool {
        let Some(user) = self.acl.remove(name) else { return false };
        self.close_clients(Some(caller), |client| has_user(client, &user));
        true
    }

    /// Closes clients; the caller, which waits for an answer, after that.
    fn close_clients(&mut self, caller: Option<&mut Client>, doomed: impl Fn(&Client) -> bool) {
        let ids: Vec<_> = self.clients.iter().filter(|client| doomed(client)).map(|client| client.id).collect();
        for id in ids {
            self.clients.close(id);
        }
        if let Some(caller) = caller
            && doomed(caller)
        {
            caller.flags |= ClientFlags::CLOSE_AFTER_REPLY;
        }
    }

    /// Takes the users of the file of `aclfile` in place of those that there are. Connections of users that are gone are closed.
    ///
    /// # Errors
    /// Everything that is wrong with the file; nothing has changed.
    pub fn load_users(&mut self, mut caller: Option<&mut Client>) -> Result<(), FileError> {
        let path = crate::persistence::snapshot::path_of(&self.config.aclfile);
        let users = crate::acl::load(&path, self.new_users_have_all_channels())?;
        let gone: Vec<Rc<User>> =
            self.acl.users().filter(|user| !users.contains_key(user.name())).map(Rc::clone).collect();
        for user in gone {
            self.acl.remove(user.name());
            self.close_clients(caller.as_deref_mut(), |client| has_user(client, &user));
        }
        for (name, rights) in users {
            match self.acl.get(&name).map(Rc::clone) {
                Some(user) => self.change_rights(caller.as_deref_mut(), &user, rights),
                None => self.acl.set(&name, rights),
            }
        }
        Ok(())
    }

    /// Makes the users of the configuration: the password of `requirepass`, then `user` lines or the file of `aclfile`.
    ///
    /// # Errors
    /// A message for whoever starts the server.
    pub fn load_users_at_start(&mut self, lines: &[UserLine]) -> Result<(), String> {
        self.acl.set_default_password(&self.config.requirepass);
        let in_file = !self.config.aclfile.is_empty();
        if in_file && !lines.is_empty() {
            return Err(BOTH.to_owned());
        }
        if let Some(line) = duplicate_user(lines) {
            let name = line.words.first().map(|name| String::from_utf8_lossy(name)).unwrap_or_default();
            let why = format!("Error in user declaration '{name}': {DUPLICATE}");
            return Err(line.origin.error(why).report(super::VALKEY_VERSION));
        }
        for line in lines {
            self.load_user_line(line).map_err(|why| line.origin.error(why).report(super::VALKEY_VERSION))?;
        }
        if in_file {
            self.load_users(None).map_err(|error| {
                format!("Aborting Valkey startup because of ACL errors: {}", String::from_utf8_lossy(&error.0))
            })?;
        }
        for user in self.acl.users().filter(|user| !user.rights().enabled) {
            log_notice!(
                "The user '{}' is disabled (there is no 'on' modifier in the user description). Make sure this is not a configuration error.",
                String::from_utf8_lossy(user.name())
            );
        }
        Ok(())
    }

    fn load_user_line(&mut self, line: &UserLine) -> Result<(), String> {
        let all_channels = self.new_users_have_all_channels();
        let Some((name, rules)) = line.words.split_first() else { return Ok(()) };
        if !is_name(name) {
            return Err("Spaces not allowed in ACL usernames".to_owned());
        }
        let mut rights = crate::acl::Rights::none(all_channels);
        rights.apply_words(rules.iter().map(Vec::as_slice), all_channels).map_err(|error| {
            let (name, why) = (String::from_utf8_lossy(name), error.text_for_log());
            let hint = match error {
                SetError::Rule { why: RuleError::Unknown, .. } => " (this server may not have that command)",
                _ => "",
            };
            format!("Error in user declaration '{name}': {}{hint}", String::from_utf8_lossy(&why))
        })?;
        self.acl.set(name, rights);
        Ok(())
    }
}

const BOTH: &str = "Configuring Valkey with users defined in valkey.conf and at the same setting an ACL file path is invalid. This setup is very likely to lead to configuration errors and security holes, please define either an ACL file or declare users directly in your valkey.conf, but not both.";

const DUPLICATE: &str = "Duplicate user found. A user can only be defined once in config files";

/// Where a request of this client stands.
pub fn context_of(client: &Client) -> Context {
    let multi = client.transaction.is_some() || client.flags.contains(ClientFlags::IN_EXEC);
    if multi { Context::Multi } else { Context::Toplevel }
}

fn has_user(client: &Client, user: &Rc<User>) -> bool {
    client.user.as_ref().is_some_and(|own| Rc::ptr_eq(own, user))
}

/// Whether a user may listen to all that a client listens to.
fn may_listen(client: &Client, user: &User) -> bool {
    let rights = user.rights();
    let all = |names: &std::collections::BTreeSet<Box<[u8]>>, kind| {
        names.iter().all(|name| rights.allows_channel(name, kind))
    };
    all(&client.channels, pubsub::Kind::Channel)
        && all(&client.patterns, pubsub::Kind::Pattern)
        && all(&client.shard_channels, pubsub::Kind::Shard)
}

/// The first `user` line whose name stood before.
fn duplicate_user(lines: &[UserLine]) -> Option<&UserLine> {
    let name = |line: &UserLine| line.words.first().cloned().unwrap_or_else(|| DEFAULT.to_vec());
    let mut seen = std::collections::BTreeSet::new();
    lines.iter().find(|line| !seen.insert(name(line)))
}
