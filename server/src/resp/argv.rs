//! The arguments of one command: slices of the buffer that it was read into.

use std::ops::Range;

/// Where an argument stands, relative to the first byte of its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

/// A command's arguments, borrowed from the query buffer. The first is the command's name.
#[derive(Clone, Copy, Debug)]
pub struct Argv<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
    canonical: bool,
}

impl<'a> Argv<'a> {
    /// `bytes` are the command's own bytes; `canonical` says that they are a RESP array of bulk strings that may be
    /// forwarded as they are.
    pub(super) fn new(bytes: &'a [u8], spans: &'a [Span], canonical: bool) -> Self {
        Argv { bytes, spans, canonical }
    }

    /// The number of arguments, the command's name included.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no argument at all.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `i`; empty where there is none (the arity check comes before any handler).
    pub fn get(&self, i: usize) -> &'a [u8] {
        match self.spans.get(i) {
            Some(s) => &self.bytes[s.start as usize..s.start as usize + s.len as usize],
            None => b"",
        }
    }

    /// All arguments in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |s| &bytes[s.start as usize..s.start as usize + s.len as usize])
    }

    /// The arguments from `i` on, as arguments of their own (a subcommand's view).
    pub fn tail(&self, i: usize) -> Argv<'a> {
        self.range(i..self.spans.len())
    }

    /// Some of the arguments, as arguments of their own; none where there are not so many.
    pub fn range(&self, range: Range<usize>) -> Argv<'a> {
        Argv { bytes: self.bytes, spans: self.spans.get(range).unwrap_or(&[]), canonical: false }
    }

    /// Bytes that the command takes, or would take, on the wire.
    pub fn wire_len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes as they came, when they are a well-formed RESP array that may be forwarded verbatim.
    pub fn raw(&self) -> Option<&'a [u8]> {
        self.canonical.then_some(self.bytes)
    }

    /// A copy that owns its bytes.
    pub fn to_owned(&self) -> OwnedArgv {
        OwnedArgv::new(self.iter())
    }
}

/// Arguments that own their bytes: queued by MULTI, kept by a blocked client, or made by a rewrite. Held as the RESP
/// array they are propagated as.
#[derive(Clone, Debug)]
pub struct OwnedArgv {
    bytes: Box<[u8]>,
    spans: Box<[Span]>,
}

impl OwnedArgv {
    /// Copies `args` into one allocation, encoded as a RESP array.
    pub fn new<'b>(args: impl IntoIterator<Item = &'b [u8], IntoIter: ExactSizeIterator>) -> Self {
        let args = args.into_iter();
        let mut builder = ArgvBuilder::new(args.len());
        args.for_each(|arg| builder.push(arg));
        builder.finish()
    }

    /// The borrowed view that handlers take.
    pub fn argv(&self) -> Argv<'_> {
        Argv::new(&self.bytes, &self.spans, true)
    }

    /// Bytes held on the heap.
    pub fn heap_size(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<Span>()
    }
}

/// Makes [`OwnedArgv`] of arguments that come one by one.
#[derive(Debug)]
pub struct ArgvBuilder {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl ArgvBuilder {
    /// Begins arguments, `n` of them.
    pub fn new(n: usize) -> Self {
        let mut builder = ArgvBuilder { bytes: Vec::with_capacity(32 * n), spans: Vec::with_capacity(n) };
        builder.begin(n);
        builder
    }

    /// Begins other arguments, `n` of them, in the same place.
    pub fn begin(&mut self, n: usize) {
        self.bytes.clear();
        self.spans.clear();
        encode_header(&mut self.bytes, b'*', n);
    }

    /// Adds the next one.
    pub fn push(&mut self, arg: &[u8]) {
        encode_header(&mut self.bytes, b'$', arg.len());
        self.spans.push(Span { start: self.bytes.len() as u32, len: arg.len() as u32 });
        self.bytes.extend_from_slice(arg);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// The view of those that were added, which are to be all.
    pub fn argv(&self) -> Argv<'_> {
        Argv::new(&self.bytes, &self.spans, true)
    }

    /// Bytes that it holds.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.spans.capacity() * size_of::<Span>()
    }

    /// All of them.
    pub fn finish(self) -> OwnedArgv {
        OwnedArgv { bytes: self.bytes.into_boxed_slice(), spans: self.spans.into_boxed_slice() }
    }
}

/// Appends `<kind><n>\r\n`.
pub fn encode_header(out: &mut Vec<u8>, kind: u8, n: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends `args` as a RESP array of bulk strings.
pub fn encode_command<'b>(out: &mut Vec<u8>, args: impl IntoIterator<Item = &'b [u8], IntoIter: ExactSizeIterator>) {
    let args = args.into_iter();
    encode_header(out, b'*', args.len());
    for arg in args {
        encode_header(out, b'$', arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}
