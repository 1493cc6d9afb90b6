// What training on a CUDA device needs of libtorch beyond its C interface: a stream of its own, CUDA graphs, Adam in
// one kernel. A shared library of its own, loaded when a CUDA device is asked for, so that the same libboltzdrift
// serves machines without CUDA.
//
// No exception leaves: each function returns 0, or 1 with the reason in `error`, cut to `size` bytes.
#include <ATen/Context.h>
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace {

// A point in a stream's work.
struct Event {
  Event() { C10_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming)); }
  // Where the device is gone there is nothing to give back.
  ~Event() { (void)cudaEventDestroy(event); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // What is given to `later` from here on waits for what was given to `earlier`.
  void between(const c10::cuda::CUDAStream& earlier, const c10::cuda::CUDAStream& later) const {
    C10_CUDA_CHECK(cudaEventRecord(event, earlier.stream()));
    C10_CUDA_CHECK(cudaStreamWaitEvent(later.stream(), event, 0));
  }

  cudaEvent_t event = nullptr;
};

// A stream that nobody else has: libtorch's own pool gives the same ones out again after a while, and two records at a
// time on one stream are not possible. It is lent, and never destroyed: libtorch asks the streams that used a piece of
// memory when it takes that back, which may be later.
class OwnStream {
 public:
  explicit OwnStream(c10::DeviceIndex device) : stream_(take(device)) {}
  ~OwnStream() {
    const std::lock_guard<std::mutex> lock(turn());
    free_ones().push_back(stream_);
  }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;

  const c10::cuda::CUDAStream& get() const { return stream_; }

 private:
  static std::mutex& turn() {
    static auto* mutex = new std::mutex; // outlives what other libraries do at the end of the process
    return *mutex;
  }

  static std::vector<c10::cuda::CUDAStream>& free_ones() {
    static auto* streams = new std::vector<c10::cuda::CUDAStream>;
    return *streams;
  }

  static c10::cuda::CUDAStream take(c10::DeviceIndex device) {
    {
      const std::lock_guard<std::mutex> lock(turn());
      auto& all = free_ones();
      for (auto one = all.begin(); one != all.end(); ++one) {
        if (one->device_index() == device) {
          const c10::cuda::CUDAStream found = *one;
          all.erase(one);
          return found;
        }
      }
    }
    const c10::cuda::CUDAGuard on(device);
    cudaStream_t made = nullptr;
    C10_CUDA_CHECK(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
    return c10::cuda::getStreamFromExternal(made, device);
  }

  c10::cuda::CUDAStream stream_;
};

struct Steps {
  explicit Steps(c10::DeviceIndex device)
      : own(device), own_side(device), stream(own.get()), side(own_side.get()) {}

  OwnStream own, own_side;
  c10::cuda::CUDAStream stream;
  // For work beside that of the stream, within one call.
  c10::cuda::CUDAStream side;
  Event fork, join;
  // Set while this thread's work goes to the stream.
  std::optional<c10::cuda::CUDAStreamGuard> guard;
  // Keeps the captured work, to tell how many nodes it has.
  std::unique_ptr<at::cuda::CUDAGraph> graph;
  // Where the captured work has its memory.
  at::MempoolId_t pool{0, 0};
  bool capturing = false;
};

// Graphs enter and leave a list of libtorch's generator, which has no lock of its own.
std::mutex& graphs() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

template <typename Work>
int guarded(char* error, size_t size, Work work) {
  try {
    work();
    return 0;
  } catch (const std::exception& e) {
    std::snprintf(error, size, "%s", e.what());
  } catch (...) {
    std::snprintf(error, size, "an exception of an unknown kind");
  }
  return 1;
}

// Whether matrix products of single precision may round their factors to TF32, for as long as this stands. A flag of
// the process: callers take turns.
struct Tf32 {
  explicit Tf32(bool allow) : before(at::globalContext().allowTF32CuBLAS()) {
    at::globalContext().setAllowTF32CuBLAS(allow);
  }
  ~Tf32() { at::globalContext().setAllowTF32CuBLAS(before); }
  Tf32(const Tf32&) = delete;
  Tf32& operator=(const Tf32&) = delete;
  bool before;
};

// Tensors that one launch of the fused Adam takes; its work is shared out tensor by tensor.
constexpr int64_t PIECES = 34;

std::vector<at::Tensor> pieces(const at::Tensor& all) {
  // Whole vectors of four numbers.
  const int64_t size = (all.numel() / PIECES / 4 + 1) * 4;
  return all.split(size);
}

// Gives back a graph, and what libtorch's allocator holds for a capture that did not end.
void drop(Steps* steps) {
  char error[256];
  const std::lock_guard<std::mutex> lock(graphs());
  if (steps->capturing) {
    steps->capturing = false;
    if (guarded(error, sizeof error, [&] { steps->graph->capture_end(); }) != 0) {
      const auto device = steps->stream.device_index();
      guarded(error, sizeof error, [&] {
        c10::cuda::CUDACachingAllocator::endAllocateToPool(device, steps->pool);
      });
      guarded(error, sizeof error, [&] { c10::cuda::CUDACachingAllocator::releasePool(device, steps->pool); });
    }
  }
  guarded(error, sizeof error, [&] { steps->graph.reset(); });
}

} // namespace

#define BZD_CUDA_EXPORT extern "C" __attribute__((visibility("default")))

// Which form of these functions this is; the caller refuses another.
BZD_CUDA_EXPORT int bzd_cuda_abi() {
  return 1;
}

BZD_CUDA_EXPORT int bzd_cuda_steps_new(int device, Steps** out, char* error, size_t size) {
  return guarded(error, size, [&] {
    const c10::cuda::CUDAGuard on(static_cast<c10::DeviceIndex>(device));
    *out = new Steps(static_cast<c10::DeviceIndex>(device));
  });
}

BZD_CUDA_EXPORT void bzd_cuda_steps_free(Steps* steps) {
  char error[256];
  drop(steps);
  guarded(error, sizeof error, [&] { steps->guard.reset(); });
  // Where the device is gone these fail; there is nobody to tell.
  guarded(error, sizeof error, [&] { steps->side.synchronize(); });
  guarded(error, sizeof error, [&] { steps->stream.synchronize(); });
  delete steps;
}

// From here on this thread's work goes to the stream, after all that was given to the device before.
BZD_CUDA_EXPORT int bzd_cuda_steps_enter(Steps* steps, char* error, size_t size) {
  return guarded(error, size, [&] {
    c10::cuda::getCurrentCUDAStream(steps->stream.device_index()).synchronize();
    steps->guard.emplace(steps->stream);
  });
}

// Waits for the stream, and gives the thread its former one back.
BZD_CUDA_EXPORT int bzd_cuda_steps_leave(Steps* steps, char* error, size_t size) {
  return guarded(error, size, [&] {
    steps->guard.reset();
    steps->side.synchronize();
    steps->stream.synchronize();
  });
}

// What this thread does from here to the end of the capture is recorded and not run.
BZD_CUDA_EXPORT int bzd_cuda_capture_begin(Steps* steps, char* error, size_t size) {
  return guarded(error, size, [&] {
    {
      // A thread's handle of cuBLAS cannot be made during a capture; its first product makes it.
      const auto some = at::ones({8, 8}, at::TensorOptions().dtype(at::kFloat).device(steps->stream.device()));
      at::mm(some, some);
      const c10::cuda::CUDAStreamGuard beside(steps->side);
      at::mm(some, some);
      steps->side.synchronize();
      steps->stream.synchronize();
    }
    const std::lock_guard<std::mutex> lock(graphs());
    steps->pool = at::cuda::graph_pool_handle();
    steps->graph = std::make_unique<at::cuda::CUDAGraph>(/*keep_graph=*/true);
    steps->capturing = true;
    // Other threads may use the device meanwhile.
    steps->graph->capture_begin(steps->pool, cudaStreamCaptureModeThreadLocal);
  });
}

BZD_CUDA_EXPORT int bzd_cuda_capture_end(Steps* steps, size_t* nodes, char* error, size_t size) {
  return guarded(error, size, [&] {
    const std::lock_guard<std::mutex> lock(graphs());
    steps->graph->capture_end();
    steps->capturing = false;
    C10_CUDA_CHECK(cudaGraphGetNodes(steps->graph->raw_cuda_graph(), nullptr, nodes));
    steps->graph->instantiate();
  });
}

// Drops a capture that failed between its begin and its end.
BZD_CUDA_EXPORT void bzd_cuda_capture_drop(Steps* steps) {
  drop(steps);
  // A failed capture leaves its error behind, which the next call would report as its own.
  (void)cudaGetLastError();
}

BZD_CUDA_EXPORT int bzd_cuda_replay(Steps* steps, char* error, size_t size) {
  return guarded(error, size, [&] { steps->graph->replay(); });
}

// A perceptron with SiLU units between its layers: `values` gets what goes into each layer and, after the first, what
// came out of the layer before its units; the last is the outputs. So `layers` + (`layers` - 1) + 1 handles, each of
// which the caller owns. Weights are (outputs, inputs).
BZD_CUDA_EXPORT int bzd_cuda_forward(
    size_t layers, at::Tensor** weights, at::Tensor** biases, at::Tensor* noise, at::Tensor** values, char* error,
    size_t size) {
  return guarded(error, size, [&] {
    const c10::NoGradGuard none;
    const Tf32 tf32(true);
    std::vector<at::Tensor> made;
    at::Tensor x = *noise;
    for (size_t layer = 0; layer < layers; ++layer) {
      made.push_back(x);
      x = at::linear(x, *weights[layer], *biases[layer]);
      if (layer + 1 < layers) {
        made.push_back(x);
        x = at::silu(x);
      }
    }
    made.push_back(x);
    for (size_t k = 0; k < made.size(); ++k) {
      values[k] = new at::Tensor(made[k]);
    }
  });
}

// The gradient of its weights and biases from that of its outputs, written into the given tensors: weights
// (outputs, inputs), biases (1, outputs). `values` are those of the forward pass. What no other layer waits for goes to
// the side stream.
BZD_CUDA_EXPORT int bzd_cuda_backward(
    Steps* steps, size_t layers, at::Tensor** weights, at::Tensor** values, at::Tensor* at_outputs,
    at::Tensor** weight_gradients, at::Tensor** bias_gradients, char* error, size_t size) {
  return guarded(error, size, [&] {
    const c10::NoGradGuard none;
    const Tf32 tf32(true);
    at::Tensor delta = *at_outputs;
    const at::Tensor ones = at::ones({1, delta.size(0)}, delta.options());
    // Until the streams meet, nothing that the side stream reads may be given away.
    std::vector<at::Tensor> alive;
    const auto meet = [&] { steps->join.between(steps->side, steps->stream); };
    try {
      for (size_t layer = layers; layer-- > 0;) {
        alive.push_back(delta);
        steps->fork.between(steps->stream, steps->side);
        {
          const c10::cuda::CUDAStreamGuard beside(steps->side);
          at::mm_out(*weight_gradients[layer], delta.t(), *values[2 * layer]);
          at::mm_out(*bias_gradients[layer], ones, delta);
        }
        if (layer > 0) {
          delta = at::silu_backward(at::mm(delta, *weights[layer]), *values[2 * layer - 1]);
        }
      }
    } catch (...) {
      meet();
      throw;
    }
    meet();
  });
}

// Numbers of single precision, zero, in memory of the host that a device copies from and to by itself; the caller owns
// the handle.
BZD_CUDA_EXPORT int bzd_cuda_pinned(int64_t rows, int64_t columns, at::Tensor** out, char* error, size_t size) {
  return guarded(error, size, [&] {
    const auto options = at::TensorOptions().dtype(at::kFloat).pinned_memory(true);
    *out = new at::Tensor(at::zeros({rows, columns}, options));
  });
}

// Outputs of a perceptron with SiLU units between its layers, in whole single precision. `noise` and `outputs` are in
// pinned memory of the host, `there` is the noise on the device.
BZD_CUDA_EXPORT int bzd_cuda_sample(
    size_t layers, at::Tensor** weights, at::Tensor** biases, at::Tensor* noise, at::Tensor* there,
    at::Tensor* outputs, char* error, size_t size) {
  return guarded(error, size, [&] {
    const c10::NoGradGuard none;
    const Tf32 tf32(false);
    there->copy_(*noise, /*non_blocking=*/true);
    at::Tensor x = *there;
    for (size_t layer = 0; layer < layers; ++layer) {
      x = at::linear(x, *weights[layer], *biases[layer]);
      if (layer + 1 < layers) {
        x = at::silu(x);
      }
    }
    outputs->copy_(x, /*non_blocking=*/true);
  });
}

// One step of Adam in place; `step` (counted from 1) and `rate` are on the device, one number each.
BZD_CUDA_EXPORT int bzd_cuda_adam(
    at::Tensor* weights, at::Tensor* gradient, at::Tensor* mean, at::Tensor* square, at::Tensor* step,
    at::Tensor* rate, double beta1, double beta2, double epsilon, char* error, size_t size) {
  return guarded(error, size, [&] {
    const c10::NoGradGuard none;
    const auto parts = pieces(*weights);
    const std::vector<at::Tensor> numbers(parts.size(), *step);
    at::_fused_adam_(
        parts, pieces(*gradient), pieces(*mean), pieces(*square), {}, numbers, *rate, beta1, beta2, /*weight_decay=*/0.0, epsilon,
        /*amsgrad=*/false, /*maximize=*/false, std::nullopt, std::nullopt);
  });
}
