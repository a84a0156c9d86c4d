//! JSON pointers (RFC 6901) compiled into one tree, so that a body is walked once for all of them.

/// Most distinct pointers of one map; a map has fewer fields than this.
pub const SLOTS_MAX: usize = 32;

/// One step of the tree: an object's member or an array's element.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The member's name, unescaped.
    key: Box<str>,
    /// The element's index, where the name is one (RFC 6901, section 4).
    index: Option<u32>,
    /// Where the value goes, where a pointer ends here.
    pub(super) slot: Option<u8>,
    /// The slots at and below this node, one bit each.
    pub(super) below: u32,
    children: Vec<u16>,
}

/// Pointers as a tree; node 0 is the whole value.
#[derive(Clone, Debug)]
pub struct Pointers {
    nodes: Vec<Node>,
    slots: u8,
}

impl Default for Pointers {
    fn default() -> Self {
        Self::new()
    }
}

impl Pointers {
    /// No pointers.
    #[must_use]
    pub fn new() -> Self {
        let root = Node { key: "".into(), index: None, slot: None, below: 0, children: Vec::new() };
        Self { nodes: vec![root], slots: 0 }
    }

    /// Adds a pointer and gives its slot; the same pointer has the same slot. `None` where there are too many, or
    /// where the text is no pointer (it is empty or begins with `/`).
    pub fn add(&mut self, pointer: &str) -> Option<u8> {
        let mut path = vec![0usize];
        if !pointer.is_empty() {
            for token in pointer.strip_prefix('/')?.split('/') {
                let key = token.replace("~1", "/").replace("~0", "~");
                path.push(self.child_or_new(*path.last()?, &key)?);
            }
        }
        let last = *path.last()?;
        if let Some(slot) = self.nodes[last].slot {
            return Some(slot);
        }
        if usize::from(self.slots) >= SLOTS_MAX {
            return None;
        }
        let slot = self.slots;
        self.slots += 1;
        self.nodes[last].slot = Some(slot);
        for node in path {
            self.nodes[node].below |= 1 << slot;
        }
        Some(slot)
    }

    fn child_or_new(&mut self, parent: usize, key: &str) -> Option<usize> {
        let found = self.nodes[parent].children.iter().find(|&&c| &*self.nodes[usize::from(c)].key == key);
        if let Some(&c) = found {
            return Some(usize::from(c));
        }
        let new = u16::try_from(self.nodes.len()).ok()?;
        let canonical = key == "0" || !key.starts_with('0');
        let digits = canonical && !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit());
        let index = if digits { key.parse().ok() } else { None };
        self.nodes.push(Node { key: key.into(), index, slot: None, below: 0, children: Vec::new() });
        self.nodes[parent].children.push(new);
        Some(usize::from(new))
    }

    /// A node.
    pub(super) fn node(&self, n: u16) -> &Node {
        &self.nodes[usize::from(n)]
    }

    /// The child for a member whose name is `raw` as written; `escaped` where it holds escapes.
    pub(super) fn member(&self, parent: u16, raw: &str, escaped: bool) -> Option<u16> {
        let children = &self.node(parent).children;
        let found = children.iter().find(|&&c| {
            let key = &*self.node(c).key;
            if escaped { super::scan::unescape(raw).eq(key.chars()) } else { key == raw }
        });
        found.copied()
    }

    /// The child for an array's element.
    pub(super) fn element(&self, parent: u16, index: u32) -> Option<u16> {
        self.node(parent).children.iter().find(|&&c| self.node(c).index == Some(index)).copied()
    }
}
