/* Pictures as the models take and return them. Pure JVM, so that it is tested without a phone. */
package com.example.tfstyle

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min
import kotlin.math.roundToInt
import kotlin.math.sin

const val LANCZOS_LOBES = 3
const val OVERSAMPLING = 2
const val GRID = 8 // a multiple of what networks reduce a picture by
const val CODE_SIDE = 512 // long side at which a painting is read, as in training
const val LEAST_CODE_SIDE = 32 // the encoder reduces a painting by so much

/** A picture: [rgb] holds red, green and blue of each pixel, row by row, sRGB in 0..1. */
class Picture(val width: Int, val height: Int, val rgb: FloatArray) {
    init {
        require(rgb.size == 3 * width * height) { "$width × $height pixels in ${rgb.size} values." }
    }
}

/** Where a picture lies in a model's frame. */
data class Placement(val left: Int, val top: Int, val width: Int, val height: Int)

/** Converts packed pixels as of `Bitmap.getPixels`; what is transparent comes to lie on white. */
fun pictureOf(argb: IntArray, width: Int, height: Int): Picture {
    val rgb = FloatArray(3 * argb.size)
    for ((i, pixel) in argb.withIndex()) {
        val alpha = (pixel ushr 24) / 255f
        for (channel in 0..2) {
            val value = (pixel shr (16 - 8 * channel) and 0xff) / 255f
            rgb[3 * i + channel] = value * alpha + (1 - alpha)
        }
    }
    return Picture(width, height, rgb)
}

/** Returns opaque packed pixels for `Bitmap.setPixels`, rounded to the nearest level. */
fun Picture.toArgb() = IntArray(width * height) { i ->
    (0..2).fold(0xff) { packed, channel ->
        packed shl 8 or (255 * rgb[3 * i + channel].coerceIn(0f, 1f)).roundToInt()
    }
}

/** Returns by how much a decoder may reduce a photograph, so that enough is left to resize well. */
fun sampleSize(longSide: Int, frameSide: Int) =
    max(1, Integer.highestOneBit(longSide / (OVERSAMPLING * frameSide)))

/**
 * Returns where a picture goes in a frame: as large as it fits, in the middle, its shape kept.
 *
 * The rest of the frame is filled with the picture's mirror image (see [framed]) and cut off after
 * painting: cropping would lose part of the photograph, and anything else in the frame shifts the
 * statistics that the network normalizes with. At a multiple of [GRID] the network meets the same
 * pixels as without a frame. Mean difference from the picture painted without one, in 1/255, nine
 * photographs, style wave, 512 px: 5; not on the grid 11; edges drawn out 15; black bars 16.
 */
fun place(width: Int, height: Int, frameWidth: Int, frameHeight: Int): Placement {
    val scale = min(frameWidth.toDouble() / width, frameHeight.toDouble() / height)
    val newWidth = (width * scale).roundToInt().coerceIn(1, frameWidth)
    val newHeight = (height * scale).roundToInt().coerceIn(1, frameHeight)
    val left = (frameWidth - newWidth) / 2 / GRID * GRID
    val top = (frameHeight - newHeight) / 2 / GRID * GRID
    return Placement(left, top, newWidth, newHeight)
}

/** Returns a frame with the picture, resized, at its place, and its mirror image around it. */
fun Picture.framed(place: Placement, frameWidth: Int, frameHeight: Int): Picture {
    val inner = resized(place.width, place.height)
    val columns = IntArray(frameWidth) { mirrored(it - place.left, place.width) }
    val rgb = FloatArray(3 * frameWidth * frameHeight)
    for (y in 0 until frameHeight) {
        val row = mirrored(y - place.top, place.height) * place.width
        for (x in 0 until frameWidth) {
            inner.rgb.copyInto(
                rgb, 3 * (y * frameWidth + x), 3 * (row + columns[x]), 3 * (row + columns[x] + 1),
            )
        }
    }
    return Picture(frameWidth, frameHeight, rgb)
}

/** Returns what lies at a place: undoes [framed], but for the size. */
fun Picture.cropped(place: Placement): Picture {
    val rgb = FloatArray(3 * place.width * place.height)
    for (y in 0 until place.height) {
        val from = 3 * ((place.top + y) * width + place.left)
        this.rgb.copyInto(rgb, 3 * y * place.width, from, from + 3 * place.width)
    }
    return Picture(place.width, place.height, rgb)
}

/** Returns a painting as an encoder reads it; null if it is too narrow for that. */
fun Picture.forEncoder(): Picture? {
    val place = place(width, height, CODE_SIDE, CODE_SIDE)
    if (min(place.width, place.height) < LEAST_CODE_SIDE) return null
    return resized(place.width, place.height)
}

/** Resizes with a Lanczos filter, as tfstyle (and Pillow, whose sums these are) does. */
fun Picture.resized(newWidth: Int, newHeight: Int): Picture {
    val wide = filter(rgb, height, width, newWidth, 3, 3 * width, 3 * newWidth)
    val tall = filter(wide, newWidth, height, newHeight, 3 * newWidth, 3, 3)
    for (i in tall.indices) tall[i] = tall[i].coerceIn(0f, 1f)
    return Picture(newWidth, newHeight, tall)
}

/** Returns the tensor of a picture: float32 `(1, height, width, 3)`. */
fun Picture.toTensor() = emptyTensor(width, height).also { it.asFloatBuffer().put(rgb) }

/** Returns a tensor for a picture of this size. LiteRT wants it direct, in the phone's order. */
fun emptyTensor(width: Int, height: Int): ByteBuffer =
    ByteBuffer.allocateDirect(4 * 3 * width * height).order(ByteOrder.nativeOrder())

/** Returns the picture in a tensor `(1, height, width, 3)`. */
fun pictureOf(tensor: ByteBuffer, width: Int, height: Int): Picture {
    tensor.rewind()
    return Picture(width, height, FloatArray(3 * width * height).also(tensor.asFloatBuffer()::get))
}

/** Returns the mean difference of two pictures of one size; NaN if a value of either is NaN. */
fun meanDifference(one: Picture, other: Picture) =
    one.rgb.indices.sumOf { abs(one.rgb[it] - other.rgb[it]).toDouble() } / one.rgb.size

/** Returns which of [count] pixels stands at [index], which may lie outside: `dcb|abcd|cba`. */
private fun mirrored(index: Int, count: Int): Int {
    if (count == 1) return 0
    val folded = index.mod(2 * (count - 1))
    return min(folded, 2 * (count - 1) - folded)
}

/** Resizes lines of pixels, which lie [step] values apart, from [old] to [new] pixels. */
private fun filter(
    values: FloatArray, lines: Int, old: Int, new: Int, step: Int, oldLine: Int, newLine: Int,
): FloatArray {
    if (old == new) return values.copyOf()
    val scale = old.toDouble() / new
    val stretch = max(1.0, scale)
    val result = FloatArray(values.size / old * new)
    for (i in 0 until new) {
        val center = (i + 0.5) * scale
        val first = max(0, (center - LANCZOS_LOBES * stretch + 0.5).toInt())
        val last = min(old, (center + LANCZOS_LOBES * stretch + 0.5).toInt())
        val weights = DoubleArray(last - first) { lanczos((first + it - center + 0.5) / stretch) }
        val total = weights.sum()
        for (line in 0 until lines) for (channel in 0..2) {
            var sum = 0.0
            for (k in weights.indices) {
                sum += weights[k] * values[line * oldLine + (first + k) * step + channel]
            }
            result[line * newLine + i * step + channel] = (sum / total).toFloat()
        }
    }
    return result
}

private fun lanczos(x: Double): Double {
    if (x == 0.0) return 1.0
    if (abs(x) >= LANCZOS_LOBES) return 0.0
    val angle = PI * x
    return LANCZOS_LOBES * sin(angle) * sin(angle / LANCZOS_LOBES) / (angle * angle)
}
