//! A network as the kernels run it: operations on NHWC buffers, weights in the precision they are computed in.
//!
//! Shapes are of one item of the batch; the batch is the slowest dimension of every buffer. Channels are padded to a multiple of 8, so
//! that a pixel is whole 16-byte vectors; what lies in the padding is finite, and weights for it are zero.

use half::f16;

use crate::onnxruntime::Element;

/// Channels a pixel is padded to.
pub const VECTOR: usize = 8;

/// A network's input or output: `[batch, channels, height, width]`, planes as ONNX has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Its name in the graph.
    pub name: String,
    /// Channels, height, width of one item.
    pub item: [usize; 3],
    /// float16 or float32.
    pub element: Element,
}

impl Edge {
    /// Values of one item.
    #[must_use]
    pub fn len(&self) -> usize {
        self.item.iter().product()
    }

    /// Whether an item has no values; never so in a compiled program.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Part of an activation buffer, or all of it: `channels` of each pixel from `first` on, pixels `pitch` values apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Index of the buffer.
    pub buffer: usize,
    pub height: usize,
    pub width: usize,
    /// A multiple of [`VECTOR`].
    pub channels: usize,
    /// A multiple of [`VECTOR`].
    pub first: usize,
    /// A multiple of [`VECTOR`].
    pub pitch: usize,
}

impl View {
    /// Pixels of one item.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Bytes of one item's pixels that the view covers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pixels() * self.channels * size_of::<f16>()
    }
}

/// What is done to a sum before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    None,
    Relu,
    Sigmoid,
    Tanh,
}

/// A planar input, as NHWC float16.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// Index of the input.
    pub input: usize,
    pub to: View,
}

/// A convolution over all input channels: `to = activation(weights * from + bias + residual)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    pub from: View,
    pub to: View,
    /// Rows, columns.
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Rows above, columns to the left, all zero.
    pub pads: [usize; 2],
    /// `[to.channels, kernel rows, kernel columns, from.channels]`.
    pub weights: Vec<f16>,
    /// `[to.channels]`.
    pub bias: Vec<f32>,
    /// Added before the activation; of the size of `to`.
    pub residual: Option<View>,
    pub activation: Activation,
}

impl Conv {
    /// Whether each output pixel is made of the one input pixel at its place.
    #[must_use]
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.pads == [0, 0]
    }

    /// Length of the sum behind each output value.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.from.channels
    }
}

/// A 3x3 convolution of each channel by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Depthwise {
    pub from: View,
    pub to: View,
    pub stride: [usize; 2],
    /// Rows above, columns to the left, all zero.
    pub pads: [usize; 2],
    /// `[3, 3, channels]`.
    pub weights: Vec<f32>,
    /// `[channels]`.
    pub bias: Vec<f32>,
    pub activation: Activation,
}

/// How a picture is doubled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubling {
    /// Bilinear, corner pixels on corner pixels: `torch.nn.Upsample(2, "bilinear", align_corners=True)`.
    Linear,
    /// Each pixel four times.
    Nearest,
}

/// Twice the height and width.
#[derive(Debug, Clone, PartialEq)]
pub struct Upsample {
    pub from: View,
    pub to: View,
    pub doubling: Doubling,
}

/// Where an operand's pixel lies for an output pixel at (x, y), channel c.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At (x, y).
    Same,
    /// At (0, 0): the operand has one pixel.
    Everywhere,
    /// At (x / 2, y / 2), channel `4 c + 2 (y mod 2) + x mod 2`: ONNX's `DepthToSpace` by 2, mode CRD.
    Shuffled,
}

/// An operand of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub from: View,
    /// The channel for output channel 0.
    pub first: usize,
    /// 1, or 0 where one channel serves all.
    pub step: usize,
    pub place: Place,
}

/// A step of an expression in postfix order.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Load(Load),
    Constant(f32),
    /// A constant for each output channel.
    Channels(Vec<f32>),
    Add,
    Subtract,
    Multiply,
    Activate(Activation),
}

/// Where a pointwise expression is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Stored(View),
    /// The network's output, planes as ONNX has them.
    Output,
}

/// Every value of `target` by the same small expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Pointwise {
    pub target: Target,
    /// Channels, height, width; stored padding above the channels becomes zero.
    pub item: [usize; 3],
    pub steps: Vec<Step>,
}

/// Stored values as the network's output.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// Its first channels are the output's.
    pub from: View,
}

/// An inverted residual: 1x1 to more channels, depthwise 3x3, 1x1 to fewer. What lies between is used by nothing else, so that the
/// three may run as one kernel, and with them what is before or after them at the network's edges.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// The input that is expanded, when nothing else reads it.
    pub import: Option<Import>,
    pub expand: Conv,
    pub depthwise: Depthwise,
    pub project: Conv,
    /// The network's last convolution, 1x1, when nothing else reads what is projected.
    pub export: Option<(Conv, Export)>,
}

impl Block {
    /// What lies between its parts.
    #[must_use]
    pub fn inside(&self) -> Vec<View> {
        let import = self.import.iter().map(|import| import.to);
        let export = self.export.iter().flat_map(|(conv, _)| [self.project.to, conv.to]);
        import.chain([self.expand.to, self.depthwise.to]).chain(export).collect()
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    Import(Import),
    Conv(Conv),
    Depthwise(Depthwise),
    Block(Box<Block>),
    Upsample(Upsample),
    Pointwise(Pointwise),
    Export(Export),
}

impl Op {
    /// What it reads and writes of the buffers, what lies inside a block left out.
    #[must_use]
    pub fn views(&self) -> (Vec<View>, Option<View>) {
        match self {
            Self::Import(op) => (Vec::new(), Some(op.to)),
            Self::Conv(op) => ([op.from].into_iter().chain(op.residual).collect(), Some(op.to)),
            Self::Depthwise(op) => (vec![op.from], Some(op.to)),
            Self::Block(op) => {
                let mut reads: Vec<_> = [op.expand.from].into_iter().chain(op.project.residual).collect();
                if op.import.is_some() {
                    reads.clear();
                }
                (reads, op.export.is_none().then_some(op.project.to))
            }
            Self::Upsample(op) => (vec![op.from], Some(op.to)),
            Self::Pointwise(op) => {
                let loads = op.steps.iter().filter_map(|step| match step {
                    Step::Load(load) => Some(load.from),
                    _ => None,
                });
                let to = match op.target {
                    Target::Stored(view) => Some(view),
                    Target::Output => None,
                };
                (loads.collect(), to)
            }
            Self::Export(op) => (vec![op.from], None),
        }
    }
}

/// A compiled network.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// In the graph's order.
    pub inputs: Vec<Edge>,
    pub output: Edge,
    /// float16 values of one item in each activation buffer.
    pub buffers: Vec<usize>,
    /// In an order in which they may run.
    pub ops: Vec<Op>,
}
