//! The program's door; everything else is in the library.

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    huracan::app::main(Instant::now())
}
