/* What `tfstyle export --format android` says of its models. Pure JVM, so that it is tested. */
package com.example.tfstyle

import java.nio.ByteBuffer
import java.nio.ByteOrder

const val LABELS = "labels.json"
const val METADATA = "tfstyle.json"
const val SIGNATURE = "stylize"
const val INPUT = "image"
const val OUTPUT = "stylized"
const val ENCODE = "encode" // the signature of an encoder, which returns the code of a painting
const val PAINTING = "painting"
const val CODE = "code"

/** A `.tflite` file among the assets, which takes and returns pictures of this size only. */
data class Model(val file: String, val height: Int, val width: Int)

/**
 * A style, and its models, the smallest first; [thumbnail] names a JPEG among the assets.
 *
 * Where there is an [encoder], the style is that of any painting: the encoder, a `.tflite` file,
 * reads the code of one, which all models take.
 */
data class Style(
    val name: String,
    val about: String,
    val thumbnail: String?,
    val encoder: String?,
    val models: List<Model>,
)

/** Reads the text of `labels.json`. */
fun parseLabels(text: String): List<Style> = parseJson(text).field<List<*>>("styles").map { style ->
    val models = style.field<List<*>>("models").map { model ->
        val (height, width) = model.field<List<*>>("size").map { (it as Double).toInt() }
        Model(model.field("file"), height, width)
    }
    Style(
        style.field("name"),
        style.field("about"),
        style.field("thumbnail"),
        style.field("encoder"),
        models.sortedBy { it.height * it.width },
    )
}

/**
 * Checks that a `.tflite` file takes and returns what this app computes with.
 *
 * @return how many numbers of a code it takes beside the photograph; null if no code.
 * @throws IllegalArgumentException if not; it would paint black or garbled pictures.
 */
fun checkModel(file: ByteBuffer, model: Model): Int? {
    val metadata = checkPictures(file, model.file, INPUT, OUTPUT)
    val size = metadata.field<List<*>?>("size")
    require(size == listOf(model.height.toDouble(), model.width.toDouble())) {
        "${model.file} takes pictures of $size, not ${model.height} × ${model.width}."
    }
    require(metadata.field<Double?>("style_weights") == null) {
        "${model.file} holds several styles: export each with --style."
    }
    return metadata.field<Double?>(CODE)?.toInt()
}

/**
 * Checks the same of the file that reads codes.
 *
 * @return how many numbers a code has.
 */
fun checkEncoder(file: ByteBuffer, name: String): Int =
    checkPictures(file, name, PAINTING).field<Double>(CODE).toInt()

/** Returns what a file says of itself, if these of its tensors are pictures as this app's. */
private fun checkPictures(file: ByteBuffer, name: String, vararg tensors: String): Any? {
    val metadata = parseJson(
        requireNotNull(readMetadata(file)) { "$name is not a LiteRT file of tfstyle." },
    )
    val expected = mapOf(
        "dtype" to "float32", "layout" to "NHWC", "channels" to "RGB", "range" to listOf(0.0, 1.0),
    )
    for (tensor in tensors) {
        val given = metadata.field<Map<*, *>>(tensor)
        require(given == expected) { "$name has for `$tensor` $given, not $expected." }
    }
    return metadata
}

/** Returns the text that a `.tflite` file holds under the name `tfstyle.json`, or null. */
fun readMetadata(file: ByteBuffer): String? {
    val bytes = file.duplicate().order(ByteOrder.LITTLE_ENDIAN)
    if (bytes.limit() < 8 || String(ByteArray(4) { bytes[4 + it] }) != "TFL3") return null
    val model = Table(bytes, bytes.getInt(0)) // see tflite's schema.fbs for the fields' numbers
    val entry = model.tables(6).firstOrNull { it.text(0) == METADATA } ?: return null
    return model.tables(4)[entry.int(1)].text(0)
}

/** A table of a FlatBuffer: fields by number, each of which may be left out. */
private class Table(private val bytes: ByteBuffer, private val at: Int) {
    private fun position(field: Int): Int? {
        val vtable = at - bytes.getInt(at)
        val slot = 4 + 2 * field
        val offset = if (slot < bytes.getShort(vtable)) bytes.getShort(vtable + slot).toInt() else 0
        return if (offset == 0) null else at + offset
    }

    private fun target(field: Int) = position(field)?.let { it + bytes.getInt(it) }

    fun int(field: Int) = position(field)?.let(bytes::getInt) ?: 0

    fun text(field: Int): String {
        val start = target(field) ?: return ""
        return String(ByteArray(bytes.getInt(start)) { bytes[start + 4 + it] })
    }

    fun tables(field: Int): List<Table> {
        val start = target(field) ?: return emptyList()
        return List(bytes.getInt(start)) { i ->
            val slot = start + 4 + 4 * i
            Table(bytes, slot + bytes.getInt(slot))
        }
    }
}

private inline fun <reified T> Any?.field(name: String): T {
    val value = (this as? Map<*, *>)?.get(name)
    require(value is T) { "`$name` is missing from the metadata, or not as it should be." }
    return value
}
