//! What `forward` returned, held against the contract, as plain numbers.

use tch::{Device, IValue, Kind, TchError, Tensor};

use crate::error::one_line;

/// The signature that a module must have.
pub(super) const CONTRACT: &str =
    "forward(species: int64 [n], positions: float [B, n, 3]) -> energies [B], or \
                                   (energies [B], forces [B, n, 3])";

/// Why there is no answer.
pub(super) enum Failure {
    /// Memory ended; fewer frames may fit.
    Memory(String),
    /// libtorch or the module's own code refused.
    Torch(String),
    /// The module is not what the contract says, whatever the frames.
    Contract(String),
}

impl From<TchError> for Failure {
    fn from(error: TchError) -> Self {
        let text = match error {
            TchError::Torch(text) => text,
            other => other.to_string(),
        };
        let line = meaningful(&text);
        // The CUDA allocator says the first, the CPU's the second.
        if ["out of memory", "can't allocate memory"].iter().any(|words| text.contains(words)) {
            Failure::Memory(line)
        } else {
            Failure::Torch(line)
        }
    }
}

/// The line of libtorch's message that says what was wrong. TorchScript puts a traceback before it.
pub(super) fn meaningful(text: &str) -> String {
    let raised = |line: &&str| {
        line.split_once(": ").is_some_and(|(kind, what)| {
            let name = kind.rsplit('.').next().unwrap_or(kind);
            (name.ends_with("Error") || name.ends_with("Exception"))
                && !what.is_empty()
                && !kind.contains(char::is_whitespace)
        })
    };
    let line = text.lines().map(str::trim).rfind(raised);
    one_line(line.filter(|_| text.contains("Traceback")).unwrap_or(text))
}

/// What to do about a message of libtorch.
pub(super) fn advice(message: &str) -> String {
    let signature = ["Declaration: forward(", "Method 'forward'", "forward() "];
    if signature.iter().any(|words| message.contains(words)) {
        format!("write {CONTRACT}")
    } else if message.contains("dtype") || message.contains("scalar type") {
        "write the module after module.double(), or after module.float() and with dtype=float32; make new tensors in \
         forward with dtype=positions.dtype"
            .into()
    } else if message.contains("same device") {
        "make new tensors in forward with device=positions.device".into()
    } else {
        "remove the frame or correct the module".into()
    }
}

/// Energies (B) and forces (B, n, 3), in the module's units.
pub(super) fn read(output: IValue, positions: &Tensor, kind: Kind) -> Result<(Vec<f64>, Vec<f64>), Failure> {
    let shape = positions.size();
    let returned = |what: String| Failure::Contract(format!("forward returned {what}; write {CONTRACT}"));
    let (energies, forces) = match output {
        IValue::Tensor(energies) => (energies, None),
        IValue::Tuple(mut parts) if parts.len() == 2 => match (parts.pop(), parts.pop()) {
            (Some(IValue::Tensor(forces)), Some(IValue::Tensor(energies))) => (energies, Some(forces)),
            _ => return Err(returned("a tuple that is not of two tensors".into())),
        },
        IValue::Tuple(parts) => return Err(returned(format!("a tuple of {}", parts.len()))),
        IValue::None => return Err(returned("nothing".into())),
        IValue::GenericDict(_) => return Err(returned("a dictionary".into())),
        _ => return Err(returned("no tensor".into())),
    };
    check("energies", &energies, &[&shape[..1], &[shape[0], 1]], kind)?;
    let forces = match forces {
        Some(forces) => {
            check("forces", &forces, &[&shape], kind)?;
            forces
        }
        None => slope(&energies, positions)?.f_neg()?,
    };
    Ok((numbers(&energies)?, numbers(&forces)?))
}

fn check(what: &str, tensor: &Tensor, shapes: &[&[i64]], kind: Kind) -> Result<(), Failure> {
    if !tensor.defined() {
        return Err(Failure::Contract(format!("forward returned undefined {what}; write {CONTRACT}")));
    }
    let size = tensor.size();
    if !shapes.contains(&size.as_slice()) {
        let shapes: Vec<_> = shapes.iter().map(|shape| format!("{shape:?}")).collect();
        return Err(Failure::Contract(format!(
            "forward returned {what} of shape {size:?} for {} frames, which must be {}; a module that is traced may \
             have one number of frames baked in: use torch.jit.script",
            shapes.first().map_or("the", |shape| shape.trim_matches(['[', ']']).split(',').next().unwrap_or("the")),
            shapes.join(" or ")
        )));
    }
    match (tensor.f_kind()?, kind) {
        (Kind::Double, _) | (Kind::Float, Kind::Float) => Ok(()),
        // Digits that were lost inside cannot be had back: the user shall know.
        (Kind::Float, _) => Err(Failure::Contract(format!(
            "forward returned {what} in float32 for positions in float64; give dtype=float32, or take the cast out of \
             the module"
        ))),
        (other, _) => Err(Failure::Contract(format!(
            "forward returned {what} of type {other:?}; they must be float64 or float32"
        ))),
    }
}

/// dE/dpositions. Energies of different frames do not depend on each other, so that one sweep does for all.
fn slope(energies: &Tensor, positions: &Tensor) -> Result<Tensor, Failure> {
    let none = || {
        Failure::Contract(
            "its energies do not depend on the positions in a way that libtorch can differentiate; take detach, no_grad \
             and numpy out of the module, or return (energies, forces)"
                .into(),
        )
    };
    if !energies.requires_grad() {
        return Err(none());
    }
    let found = Tensor::f_run_backward(&[energies], &[positions], false, false)?;
    found.into_iter().next().filter(Tensor::defined).ok_or_else(none)
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>, Failure> {
    let flat = tensor.f_detach()?.f_to_device_(Device::Cpu, Kind::Double, false, false)?.f_contiguous()?;
    let mut out = vec![0.0; flat.numel()];
    let count = out.len();
    flat.f_copy_data(&mut out, count)?;
    Ok(out)
}
