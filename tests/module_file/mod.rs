//! TorchScript modules written to files without Python: what `torch.jit.save` puts into its archive, by hand.

use std::path::Path;

/// A pickled object of the class `__torch__.M` whose attribute `training` is true.
const OBJECT: &[u8] = b"\x80\x02c__torch__\nM\nq\x00)\x81}(X\x08\x00\x00\x00trainingq\x01\x88ubq\x02.";
/// A pickled empty tuple.
const NOTHING: &[u8] = b"\x80\x02).";

/// Writes a module in training mode whose methods are these lines of TorchScript, each indented by two spaces.
pub fn write(path: &Path, methods: &str) {
    let class = "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n";
    let code = format!("{class}{methods}");
    let parts: [(&str, &[u8]); 5] = [
        ("m/data.pkl", OBJECT),
        ("m/code/__torch__.py", code.as_bytes()),
        ("m/constants.pkl", NOTHING),
        ("m/byteorder", b"little"),
        ("m/version", b"3\n"),
    ];
    std::fs::write(path, zip(&parts)).unwrap();
}

/// A module whose `forward(species, positions)` returns `kind` and has these lines.
pub fn write_forward(path: &Path, kind: &str, lines: &[&str]) {
    let body: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    write(
        path,
        &format!("  def forward(self: __torch__.M, species: Tensor, positions: Tensor) -> {kind}:\n{body}"),
    );
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    })
}

/// An archive of files that are not compressed.
fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut index) = (Vec::new(), Vec::new());
    for (name, content) in parts {
        let start = out.len() as u32;
        let mut common = vec![0; 8];
        common.extend(crc(content).to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        out.extend(b"PK\x03\x04\x14\x00");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(*content);
        index.extend(b"PK\x01\x02\x14\x00\x14\x00");
        index.extend(&common);
        index.extend([0; 10]);
        index.extend(start.to_le_bytes());
        index.extend(name.as_bytes());
    }
    let (start, count) = (out.len() as u32, parts.len() as u16);
    out.extend(&index);
    out.extend(b"PK\x05\x06\x00\x00\x00\x00");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((index.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}
