package com.example.tfstyle

import android.app.Application
import android.content.Context
import android.graphics.Bitmap
import android.net.Uri
import android.os.SystemClock
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.MutableLiveData
import java.io.FileNotFoundException
import java.io.IOException
import java.util.concurrent.Executors
import java.util.concurrent.Future

/** What the screen shows: [painted], or as long as there is none the photograph, and a note. */
data class Screen(val note: String, val shown: Bitmap? = null, val painted: Bitmap? = null)

/** Holds what was chosen while the phone is turned; works on one thread of its own. */
class StyleViewModel(application: Application) : AndroidViewModel(application) {
    private val context: Context = application
    private val worker = Executors.newSingleThreadExecutor()
    private var latest: Future<*>? = null
    private var photograph: Uri? = null
    private var painting: Uri? = null
    private var painter: Pair<Model, Painter>? = null // of the worker's thread only
    private var code: Pair<Pair<String, Uri>, FloatArray>? = null // likewise: of a painting

    val styles = readStyles(context)
    val screen = MutableLiveData(Screen(context.getString(startNote())))
    val thumbnail = MutableLiveData<Bitmap>() // of the painting
    var style = styles.firstOrNull()
        private set
    var model = style?.models?.lastOrNull()
        private set

    fun choose(photograph: Uri) {
        this.photograph = photograph
        paint()
    }

    /** Takes a painting for a style that has an encoder. */
    fun choosePainting(painting: Uri) {
        this.painting = painting
        paint()
    }

    fun choose(style: Style) {
        if (style == this.style) return
        val size = style.models.find { it.height == model?.height && it.width == model?.width }
        this.style = style
        model = size ?: style.models.lastOrNull()
        paint()
    }

    fun choose(model: Model) {
        if (model == this.model) return
        this.model = model
        paint()
    }

    /** Returns what people shall read of a style. */
    fun title(style: Style): String =
        if (style.encoder == null) style.name else context.getString(R.string.any_painting)

    /** Does something with the painted picture in the background, and then shows a note. */
    fun withPainted(note: String? = null, action: (Bitmap) -> Unit) {
        val before = screen.value ?: return
        val painted = before.painted ?: return
        worker.execute {
            attempt(before) {
                action(painted)
                before.copy(note = note ?: before.note)
            }
        }
    }

    fun show(note: String) {
        screen.value = screen.value?.copy(note = note)
    }

    override fun onCleared() {
        latest?.cancel(false)
        worker.execute { painter?.second?.close() }
        worker.shutdown()
    }

    private fun paint() {
        val uri = photograph ?: return
        val style = style ?: return
        val model = model ?: return
        val painting = painting
        latest?.cancel(false) // one that has not begun yet
        val before = Screen(context.getString(R.string.painting), screen.value?.shown)
        screen.value = before
        latest = worker.submit { attempt(before) { paint(uri, style, model, painting) } }
    }

    private fun paint(uri: Uri, style: Style, model: Model, painting: Uri?): Screen {
        val photograph = read(uri, maxOf(model.height, model.width), R.string.bad_photograph)
        screen.postValue(Screen(context.getString(R.string.painting), photograph))
        val code = style.encoder?.let {
            if (painting == null) return Screen(context.getString(R.string.no_painting), photograph)
            codeOf(it, painting)
        }
        val painter = painterOf(model)
        val begun = SystemClock.elapsedRealtime()
        val painted = painter.paint(photograph.toPicture(), code).toBitmap()
        val ms = (SystemClock.elapsedRealtime() - begun).toInt()
        val facts = arrayOf<Any>(title(style), painted.width, painted.height, ms, painter.device)
        return Screen(context.getString(R.string.painted, *facts), painted, painted)
    }

    /** Returns the code of a painting, which is read once, and shows its thumbnail. */
    private fun codeOf(encoder: String, painting: Uri): FloatArray {
        val key = encoder to painting
        code?.let { (its, code) -> if (its == key) return code }
        val picture = read(painting, CODE_SIDE, R.string.bad_painting).toPicture().forEncoder()
        requireNotNull(picture) { context.getString(R.string.bad_painting) }
        return encode(context.assets, encoder, picture).also {
            code = key to it
            thumbnail.postValue(picture.toBitmap())
        }
    }

    private fun read(uri: Uri, side: Int, failure: Int): Bitmap = try {
        readBitmap(context, uri, side)
    } catch (error: IOException) {
        throw IOException(context.getString(failure), error)
    }

    private fun painterOf(model: Model): Painter {
        painter?.let { (its, painter) -> if (its == model) return painter }
        painter?.second?.close()
        painter = null
        return Painter(context.assets, model).also { painter = model to it }
    }

    /** Shows what an action returns, or what kept it from doing so. */
    private fun attempt(before: Screen, action: () -> Screen) {
        val after = try {
            action()
        } catch (error: Exception) {
            before.copy(note = context.getString(R.string.failed, error.message))
        }
        screen.postValue(after)
    }

    private fun startNote() = if (styles.isEmpty()) R.string.no_styles else R.string.start
}

private fun readStyles(context: Context): List<Style> = try {
    context.assets.open(LABELS).use { parseLabels(it.readBytes().decodeToString()) }
} catch (_: FileNotFoundException) {
    emptyList()
}
