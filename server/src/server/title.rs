//! What the process list shows: `proc-title-template`, filled in.

use super::Server;
use crate::config::template::expand;
use crate::title;

impl Server {
    /// Sets the process's title, if `set-proc-title` says so. `what`: what the process is, when not the server itself.
    pub fn show_title(&self, what: Option<&str>) {
        if !self.config.set_proc_title {
            return;
        }
        let what = what.map_or(title::program(), str::as_bytes);
        // The template was looked at when it was set.
        if let Some(text) = expand(&self.config.proc_title_template, |name| self.title_variable(name, what)) {
            title::set(text.trim_ascii());
        }
    }

    fn title_variable(&self, name: &[u8], what: &[u8]) -> Option<Vec<u8>> {
        let config = &self.config;
        Some(match name {
            b"title" => what.to_vec(),
            b"listen-addr" => match [config.port, config.tls_port].into_iter().find(|port| *port != 0) {
                Some(port) => {
                    let first = config.bind.first().map_or(b"*".as_slice(), Vec::as_slice);
                    [first, format!(":{port}").as_bytes()].concat()
                }
                None => [b"unixsocket:", config.unixsocket.as_slice()].concat(),
            },
            // There is only one that has no name.
            b"server-mode" => Vec::new(),
            b"port" => config.port.to_string().into_bytes(),
            b"tls-port" => config.tls_port.to_string().into_bytes(),
            b"unixsocket" => config.unixsocket.clone(),
            b"config-file" => {
                let path = self.config_file.as_ref();
                path.map_or_else(|| b"-".to_vec(), |path| path.as_os_str().as_encoded_bytes().to_vec())
            }
            _ => return None,
        })
    }
}
