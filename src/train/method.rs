//! What can be trained: methods, and the spaces and scales of the kernel methods.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The training method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum Method {
    /// Sliced drift (the default).
    #[default]
    #[serde(rename = "sliced")]
    Sliced,
    /// The paper's kernel drift, without forces (Eqs. 6 to 9, 28 to 30).
    #[serde(rename = "drift")]
    Drift,
    /// Force-interpolated drift (Eqs. 15 and 34).
    #[serde(rename = "fi")]
    ForceInterpolated,
    /// Force-aligned kernel (Eqs. 21, 23 and 36).
    #[serde(rename = "fk")]
    ForceAligned,
    /// Both.
    #[serde(rename = "fi+fk")]
    Combined,
}

pub(super) const METHODS: [(Method, &str); 5] = [
    (Method::Sliced, "sliced"),
    (Method::Drift, "drift"),
    (Method::ForceInterpolated, "fi"),
    (Method::ForceAligned, "fk"),
    (Method::Combined, "fi+fk"),
];

impl Method {
    /// Whether omega has a meaning for it.
    pub fn interpolates(self) -> bool {
        matches!(self, Method::ForceInterpolated | Method::Combined)
    }

    /// Whether gamma has a meaning for it.
    pub fn aligns(self) -> bool {
        matches!(self, Method::ForceAligned | Method::Combined)
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        METHODS.iter().find(|(_, name)| *name == text).map(|(method, _)| *method).ok_or_else(|| {
            Error::usage(format!("method '{text}' is not known; give sliced, drift, fi, fk or fi+fk"))
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = METHODS.iter().find(|(method, _)| method == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// The space in which a kernel method works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// Pair distances (Eq. 26).
    #[default]
    Distance,
    /// Positions, every frame turned onto one of them.
    Cartesian,
}

impl FromStr for Space {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "distance" => Ok(Space::Distance),
            "cartesian" => Ok(Space::Cartesian),
            _ => Err(Error::usage(format!("space '{text}' is not known; give distance or cartesian"))),
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Space::Distance => "distance",
            Space::Cartesian => "cartesian",
        })
    }
}

/// How the force terms of a kernel method are brought to the scale of its displacements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// By the mean norm of the forces, and the spread of the alignment (Eqs. 34 and 36).
    Scaled,
    /// By kT (Eqs. 15, 21, 23, 32 and 35); needs the temperature.
    Physical,
}
