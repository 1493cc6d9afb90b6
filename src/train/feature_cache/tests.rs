//! What is kept comes back to the bit; what is not right is computed again.

use super::*;

use crate::analytic::{hydroxymethyl, Frame};

fn cube(frames: &[Frame], of: fn(&Frame) -> &Vec<[f64; 3]>) -> Array3<f64> {
    Array3::from_shape_fn((frames.len(), 5, 3), |(frame, atom, c)| of(&frames[frame])[atom][c])
}

/// Twenty frames with forces, whose results go to a folder that does not exist yet.
fn data(keep: Keep) -> Dataset {
    let molecule = hydroxymethyl();
    let frames = molecule.frames(500.0, 20, 1);
    let (x, forces) = (cube(&frames, |frame| &frame.x), cube(&frames, |frame| &frame.forces));
    let mut data = Dataset::from_arrays(molecule.species, x, Some(forces), None, None).unwrap();
    data.source.keep = keep;
    data
}

fn computed(data: &Dataset, projection: Projection) -> Array2<f64> {
    features::feature_forces(data.positions.view(), data.forces.as_ref().unwrap().view(), projection).unwrap()
}

fn given(data: &Dataset) -> Array2<f64> {
    feature_forces(data, data.forces.as_ref().unwrap(), Projection::Exact).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    all.sort();
    all
}

fn same_bits(a: &Array2<f64>, b: &Array2<f64>) -> bool {
    a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Changes one number of a kept file and puts its checksum right: only a reader that trusts the file returns it.
fn plant(path: &Path, key: &str, value: f64) {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let view = tensors.tensor(ENTRY).unwrap();
    let mut numbers = view.data().to_vec();
    numbers[..8].copy_from_slice(&value.to_le_bytes());
    let checksum = hexadecimal(Sha256::new_with_prefix(&numbers));
    let record = serde_json::to_string(&Record { key: key.into(), checksum }).unwrap();
    let entry = (ENTRY.to_owned(), Dtype::F64, view.shape().to_vec(), numbers);
    write_safetensors(path, &[entry], HashMap::from([(METADATA.to_owned(), record)])).unwrap();
}

#[test]
fn the_same_bits_come_back() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().join("kept").join("here");
    let data = data(Keep::In(folder.clone()));
    let right = computed(&data, Projection::Exact);
    for _ in 0..3 {
        assert!(same_bits(&given(&data), &right));
    }
    let all = files(&folder);
    assert_eq!(all.len(), 1, "{all:?}");
    // Taken from the file, not computed: a number planted there with a right checksum comes back.
    let kept = Kept::new(&data, data.forces.as_ref().unwrap(), folder.clone(), true);
    plant(&all[0], &kept.key, 12345.0);
    assert_eq!(given(&data)[[0, 0]], 12345.0);
    // Other forces, other positions, and frames in another order have files of their own.
    let mut other = data.clone();
    other.forces.as_mut().unwrap()[[3, 1, 2]] += 1e-12;
    assert!(same_bits(&given(&other), &computed(&other, Projection::Exact)));
    let mut other = data.clone();
    other.positions[[3, 1, 2]] += 1e-12;
    assert!(same_bits(&given(&other), &computed(&other, Projection::Exact)));
    let order: Vec<usize> = (0..20).rev().collect();
    given(&data.subset(&order).unwrap());
    assert_eq!(files(&folder).len(), 4);
    // J F is not kept.
    let naive = feature_forces(&data, data.forces.as_ref().unwrap(), Projection::Naive).unwrap();
    assert!(same_bits(&naive, &computed(&data, Projection::Naive)));
    assert_eq!(files(&folder).len(), 4);
}

#[test]
fn what_is_damaged_or_foreign_is_computed_again() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().to_owned();
    let data = data(Keep::In(folder.clone()));
    let right = computed(&data, Projection::Exact);
    given(&data);
    let path = files(&folder).remove(0);
    let whole = std::fs::read(&path).unwrap();
    let again = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        assert!(same_bits(&given(&data), &right), "{what}");
        assert!(std::fs::read(&path).unwrap() == whole, "{what}: the file was not written anew");
    };
    for place in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        again(&bytes, &format!("byte {place}"));
    }
    for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        again(&whole[..length], &format!("cut at {length}"));
    }
    again(&[&whole[..], b"x"].concat(), "longer");
    again(&vec![b'x'; 1 << 20], "huge");
    again(b"not a file of this kind", "text");
    // Another one's numbers under this name.
    plant(&path, "another key", 1.0);
    let foreign = std::fs::read(&path).unwrap();
    again(&foreign, "foreign");
    // A folder is in the way: computed without, and left alone.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(same_bits(&given(&data), &right));
    assert!(path.is_dir());
}

#[test]
fn no_file_appears_unasked_and_none_is_needed() {
    let room = tempfile::tempdir().unwrap();
    let mut data = data(Keep::Nowhere);
    data.source.path = room.path().join("run.npz");
    let right = computed(&data, Projection::Exact);
    assert!(same_bits(&given(&data), &right));
    // Beside the data only what takes longer than a moment.
    data.source.keep = Keep::Beside;
    assert!(same_bits(&given(&data), &right));
    assert!(files(room.path()).is_empty());
    assert_eq!(beside(&data.source.path), Some(room.path().join("run.npz.features")));
    assert_eq!(beside(Path::new("")), None);
    // A folder that cannot be made: the place is taken by a file.
    std::fs::write(room.path().join("file"), "").unwrap();
    data.source.keep = Keep::In(room.path().join("file"));
    assert!(same_bits(&given(&data), &right));
    data.source.keep = Keep::In(room.path().join("file").join("under"));
    assert!(same_bits(&given(&data), &right));
    // A name that no system takes.
    data.source.keep = Keep::In(PathBuf::from("/proc/none"));
    assert!(same_bits(&given(&data), &right));
}
