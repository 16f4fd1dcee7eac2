package com.example.tfstyle

import android.content.res.AssetManager
import android.util.Log
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.gpu.CompatibilityList
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.gpu.GpuDelegateFactory
import java.io.Closeable
import java.io.FileInputStream
import java.nio.ByteBuffer
import java.nio.FloatBuffer
import java.nio.channels.FileChannel

private const val TAG = "tfstyle"
private const val CPU_THREADS = 4
private const val GPU_TOLERANCE = 0.02 // mean difference from the CPU: five levels of 255

/**
 * Paints with one model: on the GPU where that agrees with the CPU, else on the CPU.
 *
 * A driver may refuse a network, or paint black without a word. So the first picture is painted on
 * both. Make, use and close a painter on one thread, as the GPU delegate demands.
 */
class Painter(assets: AssetManager, private val model: Model) : Closeable {
    private val file = map(assets, model.file)
    private val codeSize = checkModel(file, model)
    private var network = Network(file, model, null)
    private var compared = false

    /** What it paints on. */
    val device get() = if (network.gpu == null) "CPU" else "GPU"

    /**
     * Returns the picture painted: as large as it fits into the model's frame.
     *
     * @param code of a painting, see [encode]; null if the model has a style of its own.
     */
    fun paint(picture: Picture, code: FloatArray?): Picture {
        require(code?.size == codeSize) {
            "${model.file} and its encoder do not belong together: export them again."
        }
        val place = place(picture.width, picture.height, model.width, model.height)
        val frame = picture.framed(place, model.width, model.height)
        return (if (compared) network.run(frame, code) else paintFirst(frame, code)).cropped(place)
    }

    override fun close() = network.close()

    /** Paints on the CPU and on the GPU; goes on with the GPU if it painted the same. */
    private fun paintFirst(frame: Picture, code: FloatArray?): Picture {
        compared = true
        val expected = network.run(frame, code)
        val onGpu = networkOnGpu() ?: return expected
        val difference = try {
            meanDifference(onGpu.run(frame, code), expected)
        } catch (error: RuntimeException) {
            Log.w(TAG, "The GPU fails", error)
            Double.NaN
        }
        Log.i(TAG, "${model.file}: GPU and CPU differ by $difference")
        if (difference <= GPU_TOLERANCE) { // not if it is NaN
            network.close()
            network = onGpu
        } else {
            onGpu.close()
        }
        return expected
    }

    private fun networkOnGpu(): Network? = try {
        val works = CompatibilityList().use { it.isDelegateSupportedOnThisDevice }
        // In float16 a sum over all pixels, which normalization takes, would overflow.
        val options = GpuDelegateFactory.Options().setPrecisionLossAllowed(false)
        if (works) Network(file, model, GpuDelegate(options)) else null
    } catch (error: RuntimeException) {
        Log.w(TAG, "The GPU refuses ${model.file}", error)
        null
    } catch (error: LinkageError) {
        Log.w(TAG, "There is no GPU delegate", error)
        null
    }
}

/** A model on the CPU, or on a GPU, which it closes in the end. */
private class Network(
    file: ByteBuffer, private val model: Model, val gpu: GpuDelegate?,
) : Closeable {
    private val interpreter = try {
        val options = Interpreter.Options()
        if (gpu == null) options.setNumThreads(CPU_THREADS) else options.addDelegate(gpu)
        Interpreter(file, options)
    } catch (error: RuntimeException) {
        gpu?.close()
        throw error
    }

    fun run(frame: Picture, code: FloatArray?): Picture {
        val output = emptyTensor(model.width, model.height)
        val inputs = mutableMapOf<String, Any>(INPUT to frame.toTensor())
        if (code != null) inputs[CODE] = FloatBuffer.wrap(code)
        interpreter.runSignature(inputs, mapOf<String, Any>(OUTPUT to output), SIGNATURE)
        return pictureOf(output, model.width, model.height)
    }

    override fun close() {
        interpreter.close() // first: it uses the delegate
        gpu?.close()
    }
}

/** Reads the code of a painting with an encoder, on the CPU: once for however many pictures. */
fun encode(assets: AssetManager, encoder: String, painting: Picture): FloatArray {
    val file = map(assets, encoder)
    val code = FloatArray(checkEncoder(file, encoder))
    Interpreter(file, Interpreter.Options().setNumThreads(CPU_THREADS)).use {
        it.resizeInput(0, intArrayOf(1, painting.height, painting.width, 3))
        val inputs = mapOf<String, Any>(PAINTING to painting.toTensor())
        it.runSignature(inputs, mapOf<String, Any>(CODE to FloatBuffer.wrap(code)), ENCODE)
    }
    return code
}

/** Maps an asset into memory; it must not be compressed, see app/build.gradle.kts. */
private fun map(assets: AssetManager, name: String): ByteBuffer = assets.openFd(name).use { asset ->
    FileInputStream(asset.fileDescriptor).use {
        it.channel.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.declaredLength)
    }
}
