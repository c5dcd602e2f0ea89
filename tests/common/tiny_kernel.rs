//! A "kernel" of a few bytes: real-mode code behind a bzImage's header (Documentation/arch/x86/boot.rst) that prints
//! given texts on the two serial ports. It lets the tests drive a real QEMU without a real kernel.

/// What the tiny kernel does, in order.
#[derive(Clone, Debug)]
pub enum Act {
    /// Prints on ttyS0.
    Console(String),
    /// Prints on ttyS1.
    Agent(String),
    /// Resets the machine through the keyboard controller.
    Reset,
    /// Stops the processor for ever.
    Halt,
    /// Runs for ever and says nothing.
    Spin,
}

/// The offset of the setup code after its header, and its most sectors.
const CODE: usize = 0x270;
const SECTORS: u8 = 30;

/// The image.
pub fn image(acts: &[Act]) -> Vec<u8> {
    // cld: the strings are read upwards.
    let mut code: Vec<u8> = vec![0xfc];
    let mut texts: Vec<(usize, &str)> = Vec::new();
    for act in acts {
        match act {
            Act::Console(text) => print(&mut code, &mut texts, 0x3f8, text),
            Act::Agent(text) => print(&mut code, &mut texts, 0x2f8, text),
            // mov al, 0xfe; out 0x64, al; and then wait for it: hlt; jmp -3
            Act::Reset => code.extend([0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd]),
            // cli; hlt; jmp -3
            Act::Halt => code.extend([0xfa, 0xf4, 0xeb, 0xfd]),
            // cli; jmp -2
            Act::Spin => code.extend([0xfa, 0xeb, 0xfe]),
        }
    }
    let mut setup = vec![0; 512 * (usize::from(SECTORS) + 1)];
    setup[0x1f1] = SECTORS;
    setup[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    // The entry: a jump over the header.
    setup[0x200..0x202].copy_from_slice(&[0xeb, (CODE - 0x202) as u8]);
    setup[0x202..0x206].copy_from_slice(b"HdrS");
    // Protocol 2.06: command lines of any length, an initramfs.
    setup[0x206..0x208].copy_from_slice(&0x0206u16.to_le_bytes());
    // The payload belongs above 1 MiB.
    setup[0x211] = 1;
    setup[0x214..0x218].copy_from_slice(&0x10_0000u32.to_le_bytes());
    setup[0x22c..0x230].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    setup[0x238..0x23c].copy_from_slice(&2047u32.to_le_bytes());
    let mut at = CODE + code.len();
    // A text that is printed often is stored once.
    let mut placed = std::collections::HashMap::new();
    for (hole, text) in texts {
        let place = *placed.entry(text).or_insert_with(|| {
            setup[at..at + text.len()].copy_from_slice(text.as_bytes());
            at += text.len();
            at - text.len()
        });
        code[hole..hole + 2].copy_from_slice(&u16::try_from(place).expect("a small image").to_le_bytes());
    }
    setup[CODE..CODE + code.len()].copy_from_slice(&code);
    // The payload, which never runs.
    setup.extend([0; 512]);
    setup
}

/// Sends each byte once the port's transmitter is free (bit 5 of its line status), like any driver.
fn print<'a>(code: &mut Vec<u8>, texts: &mut Vec<(usize, &'a str)>, port: u16, text: &'a str) {
    // mov si, text; mov cx, length
    code.push(0xbe);
    texts.push((code.len(), text));
    code.extend([0, 0, 0xb9]);
    code.extend(u16::try_from(text.len()).expect("a short text").to_le_bytes());
    // lodsb; mov ah, al; mov dx, port + 5
    code.extend([0xac, 0x88, 0xc4, 0xba]);
    code.extend((port + 5).to_le_bytes());
    // in al, dx; test al, 0x20; jz -5; mov al, ah; mov dx, port
    code.extend([0xec, 0xa8, 0x20, 0x74, 0xfb, 0x88, 0xe0, 0xba]);
    code.extend(port.to_le_bytes());
    // out dx, al; loop -19
    code.extend([0xee, 0xe2, 0xed]);
}
